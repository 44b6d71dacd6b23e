// Owns texts as header fields of MCP.
import t from 'tap'
import { decodedValue, encodedValue } from '../../src/mcp/header-values.js'

void t.test('a text is the same as a field and back', t => {
  for (const text of ['plain', 'with space', ' outer ', 'ü', 'line\nend', '=?base64?eA==?=', '']) {
    const field = encodedValue(text)
    t.match(field, /^[\x20-\x7e]*$/)
    t.equal(decodedValue(field), text)
  }
  t.equal(encodedValue('plain'), 'plain')
  t.equal(decodedValue('=?base64?w7w=?='), 'ü')
  t.equal(decodedValue('=?base64?***?='), '=?base64?***?=', 'what is not encoded stands for itself')
  t.end()
})
