// Owns which ids are stored as they are, which as a digest, and which not; and the order of stored ids.
import t from 'tap'
import { compareIds, sessionKey, storedEndpointId, storedSessionId } from '../../src/mcp/stored-ids.js'
import { byBytes } from '../support/brute-force.js'

const DIGEST = /^sha256-[0-9a-f]{64}$/
const unprintable = ['', 'a\n', '\0', '\u007f', '\u0085', 'a\u2028b', '\u2029', '\ud800', 'a\udc00b']

void t.test('endpoint ids are printable Unicode, with spaces inside', t => {
  for (const id of [
    'e1',
    'a"b\\c',
    '100%',
    '__proto__',
    '\u77e5\u8bc6\u5e93',
    'my server',
    'caf\u00e9',
    'cafe\u0301',
    '\u{1f600}'
  ])
    t.equal(storedEndpointId(id), id)
  for (const id of ['x'.repeat(256), '\u77e5'.repeat(256), ' a', 'a ', ' ']) {
    const stored = storedEndpointId(id)
    t.match(stored, DIGEST)
    t.equal(storedEndpointId(stored!), stored)
  }
  for (const id of unprintable) t.equal(storedEndpointId(id), undefined)
  t.end()
})

void t.test('session ids are visible ASCII', t => {
  t.equal(storedSessionId('S-1'), 'S-1')
  t.match(storedSessionId('x'.repeat(256)), DIGEST)
  for (const id of [...unprintable, 'a b', 'caf\u00e9']) t.equal(storedSessionId(id), undefined)
  t.end()
})

void t.test('no two sessions share a key', t => {
  const keys = [
    { endpointId: 'a', sessionId: 'b' },
    { endpointId: 'a b', sessionId: 'c' },
    { endpointId: 'a', sessionId: 'b c' }
  ].map(sessionKey)
  t.equal(new Set(keys).size, keys.length)
  t.end()
})

void t.test('the order is that of UTF-8', t => {
  const ids = [
    'b',
    'a',
    '',
    'ab',
    'a b',
    '\uffee',
    '\u{1f600}',
    '\u{10ffff}',
    '\ue000',
    '\u77e5',
    '\u00e9',
    '\u{1f600}a'
  ]
  t.strictSame(ids.toSorted(compareIds), ids.toSorted(byBytes))
  t.notSame(ids.toSorted(compareIds), ids.toSorted(), 'JavaScript has another one')
  t.end()
})
