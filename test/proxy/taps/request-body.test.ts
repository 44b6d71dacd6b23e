// Owns what is read of a request's body: however a client writes it, and whatever a stranger writes.
import t from 'tap'
import { unknownClient } from '../../../src/mcp/client-info.js'
import { RequestBody } from '../../../src/proxy/taps/request-body.js'

const clientInfo = '"clientInfo":{"name":"größe","version":"1"}'
const params = `"params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},${clientInfo}}`
const known = { ...unknownClient, clientName: 'größe', clientVersion: '1' }

/** A body that comes in parts of `size` bytes. */
function bodyOf(text: string, size = Infinity): RequestBody {
  const bytes = Buffer.from(text)
  const body = new RequestBody()
  for (let at = 0; at < bytes.length; at += size) body.add(bytes.subarray(at, at + size))
  return body
}

for (const [title, text] of [
  ['as SDKs write it', `{"jsonrpc":"2.0","id":1,"method":"initialize",${params}}`],
  ['with its members in another order', `{${params},"method":"initialize","jsonrpc":"2.0","id":1}`],
  ['with the client first', `{"params":{${clientInfo},"capabilities":{}},"id":1,"method":"initialize"}`],
  ['with a long id', `{"jsonrpc":"2.0","id":"${'x'.repeat(5_000)}","method":"initialize",${params}}`],
  ['with an id that is a float', `{"jsonrpc":"2.0","id":-1.5e+3,"method":"initialize",${params}}`],
  ['with an id that has an escape', `{"id":"a\\"b\\\\","method":"initialize",${params}}`],
  ['with an id that is true', `{"id":true,"method":"initialize",${params}}`],
  ['with an id that is null', `{"id":null,"method":"initialize",${params}}`],
  ['with an id that is an object', `{"id":{"a":["method"]},"method":"initialize",${params}}`],
  ['with a byte order mark', `\ufeff{"id":1,"method":"initialize",${params}}`],
  ['with a byte order mark and another order', `\ufeff{${params},"id":1,"method":"initialize"}`],
  ['with white space', `\r\n\t { "id" :\n1 , "method"\t: "initialize" , ${params} }\n\n`],
  ['with much white space', `${' '.repeat(2_000)}{"id":1,"method":"initialize",${params}}`],
  ['with members of its own', `{"x":{"y":[]},"id":1,"method":"initialize",${params}}`],
  [
    'with the text of a method in its params',
    `{"params":{"a":"\\"method\\":\\"x\\"",${clientInfo}},"method":"initialize"}`
  ],
  ['in a batch', `[{"id":1,"method":"ping"},{"id":2,"method":"initialize",${params}}]`],
  ['just within the bound', `{"method":"initialize",${params}}`.padEnd(64 * 1024 - 2)]
] as const) {
  void t.test(`an initialize request ${title}`, t => {
    for (const size of [1, 7, 600, Infinity]) {
      t.match(bodyOf(text, size).call(), { rpcMethod: 'initialize' }, `in parts of ${size} bytes`)
      t.strictSame(bodyOf(text, size).clientInfo(), known)
      t.strictSame(bodyOf(text, size).metaClientInfo(), unknownClient)
    }
    t.end()
  })
}

void t.test('what is no initialize request', t => {
  for (const text of [
    '',
    '{',
    'null',
    '7',
    '[]',
    '[null]',
    '"initialize"',
    '{"params":{"method":"initialize"}}',
    '{"params":["initialize"],"method":"x"}',
    '{"params":null,"method":["initialize"]}',
    `{"result":{"method":"initialize",${params}}}`,
    `{"id":1,"method":"tools/call",${params}}`,
    `{"id":1,"method":"initialize",${params}`.padEnd(70_000)
  ]) {
    const body = bodyOf(text)
    const [, method] = /^\{"id":1,"method":"([^"]*)"/.exec(text) ?? []
    t.equal(body.call().rpcMethod, method, text.trim())
    t.strictSame(body.clientInfo(), unknownClient, text.trim())
    t.strictSame(body.metaClientInfo(), unknownClient, text.trim())
  }
  t.end()
})

const meta = '"io.modelcontextprotocol/clientInfo":{"name":"größe","version":"1"}'
const revision = '"io.modelcontextprotocol/protocolVersion":"2026-07-28"'
const large = 'x'.repeat(20_000)

for (const [title, text] of [
  ['as SDKs write it', `{"params":{"_meta":{${revision},${meta},"x/y":{}},"name":"echo"}}`],
  [
    'behind the arguments',
    `{"params":{"name":"echo","arguments":{"a":"${large}"},"_meta":{${meta},${revision}}}}`
  ],
  ['behind another object', `{"params":{"_meta":{"x":{},${revision},${meta}}}}`],
  ['with a title', `{"params":{"_meta":{${meta.replace('"v', '"title":"t","v')},${revision}}}}`],
  ['with an escaped slash', `{"params":{"_meta":{${revision},${meta.replace('/', '\\/')}}}}`],
  ['with escapes', `{"params":{"_meta":{${revision},${meta.replace('ö', '\\u00f6')}}}}`],
  ['with white space', `{ "params" : { "_meta" : { ${revision} , ${meta.replaceAll(':', ' : ')} } } }`],
  [
    'beside one in the arguments',
    `{"params":{"arguments":{"_meta":{${meta.replace('größe', 'no')}}},"_meta":{${revision},${meta}}}}`
  ],
  ['of a notification', `{"method":"notifications/x","params":{"_meta":{${revision},${meta}}}}`]
] as const) {
  void t.test(`the client in the _meta of a request, ${title}`, t => {
    for (const size of [600, Infinity]) {
      t.strictSame(bodyOf(text, size).metaClientInfo(), known)
      t.strictSame(bodyOf(text, size).clientInfo(), { ...known, protocolVersion: '2026-07-28' })
    }
    t.end()
  })
}

void t.test('a _meta that names nobody', t => {
  for (const text of [
    `{"params":{"arguments":{"text":${JSON.stringify(`"_meta":{${meta}}`)}}}}`,
    `{"params":{${meta}}}`,
    '{"params":{"_meta":{"io.modelcontextprotocol/clientInfo":"größe"}}}',
    '{"params":{"_meta":{"io.modelcontextprotocol/clientInfo":{"version":"1"}}}}',
    '{"params":{"_meta":null,"x":"io.modelcontextprotocol/clientInfo"}}'
  ])
    t.strictSame(bodyOf(text).metaClientInfo(), unknownClient, text)
  t.end()
})

void t.test('a large body of which the start names the client', t => {
  const body = bodyOf(`{"params":{"_meta":{${revision},${meta}},"arguments":"${'x'.repeat(100_000)}`, 1_000)
  t.strictSame(body.metaClientInfo(), known)
  t.strictSame(body.clientInfo(), known)
  t.end()
})
