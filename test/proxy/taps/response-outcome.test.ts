// Owns what is read of a response: failures in JSON and event streams, however they are cut, and what cannot be read.
import t from 'tap'
import { responseOutcome } from '../../../src/proxy/taps/response-outcome.js'

const JSON_TYPE = { 'content-type': 'application/json' }
const EVENTS = { 'content-type': 'text/event-stream' }
const KIB = 1024

const result = (isError: boolean): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'é' }], isError } })
const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such tool"}}'
const event = (data: string, lineEnd = '\n'): string =>
  `event: message${lineEnd}data: ${data}${lineEnd}${lineEnd}`

interface Asked {
  method?: string
  status?: number
  headers?: Record<string, string>
  isMessage?: boolean
  /** The body comes in parts of so many bytes. */
  size?: number
  whole?: boolean
}

/** [errors, unread, answered]; null where nothing is read. */
function read(body: string, asked: Asked = {}): [number, number, boolean] | null {
  const { method = 'POST', status = 200, headers = JSON_TYPE, isMessage = false, size = Infinity } = asked
  const outcome = responseOutcome(method, status, headers, isMessage)
  if (outcome === undefined) return null
  const bytes = Buffer.from(body)
  for (let at = 0; at < bytes.length; at += size) {
    const part = Buffer.from(bytes.subarray(at, at + size))
    outcome.chunk(part)
    // The memory of a part is used again.
    part.fill(0x20)
  }
  outcome.end(asked.whole ?? true)
  return [outcome.errors, outcome.unread, outcome.isAnswered]
}

void t.test('JSON: errors, results of tools that failed, and everything else', t => {
  const cases: [string, number][] = [
    [result(false), 0],
    [result(true), 1],
    [error, 1],
    [error.replaceAll(':', ' :\n '), 1],
    [`[${result(true)},${error},${result(false)}]`, 2],
    ['{"id":1,"result":{"isError" : true}}', 1],
    ['{"id":1,"result":{"isError":"true"}}', 0],
    ['{"id":1,"error":null,"result":{}}', 0],
    ['{"id":1,"result":{"structuredContent":{"error":{"code":1},"isError":true}}}', 0],
    [JSON.stringify({ id: 1, result: { content: [{ text: error }] } }), 0],
    ['{"id":2,"method":"x","params":{"error":{}}}', 0]
  ]
  for (const [body, errors] of cases)
    for (const size of [1, 7, Infinity]) {
      t.same(read(body, { size }), [errors, 0, true], `${body} in parts of ${size}`)
      const headers = { ...JSON_TYPE, 'content-length': String(Buffer.byteLength(body)) }
      t.same(read(body, { size, headers }), [errors, 0, true], `${body} in parts of ${size}, with a length`)
    }
  t.same(read('', {}), [0, 0, false])
  t.end()
})

void t.test('JSON that cannot be read is counted as that', t => {
  const large = JSON.stringify({ id: 1, result: { text: 'x'.repeat(64 * KIB), isError: true } })
  t.same(read(large), [0, 1, false])
  t.same(read(large, { size: 1_000 }), [0, 1, false])
  const fits = JSON.stringify({ id: 1, result: { text: 'x'.repeat(64 * KIB - 100), isError: true } })
  t.same(read(fits, { size: 1_000 }), [1, 0, true])
  t.same(read('{"error":{', {}), [0, 1, true])
  t.same(
    read(result(true).slice(0, -3), { whole: false }),
    [0, 0, false],
    'cut off: the tap says what that is'
  )
  const coded = { headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }
  t.same(read('\x1f\x8b', coded), [0, 1, false])
  t.same(read('', coded), [0, 0, false])
  t.same(read(result(true), { headers: { ...JSON_TYPE, 'content-encoding': 'identity' } }), [1, 0, true])
  t.same(read('<p>', { headers: { 'content-type': 'text/html' } }), [0, 1, false])
  t.same(read('ok', { headers: {}, isMessage: true }), null, 'the result comes on the stream')
  t.end()
})

void t.test('what has no result is not read', t => {
  t.equal(read('x', { status: 500 }), null)
  t.equal(read('', { status: 204 }), null)
  t.equal(read('ok', { status: 202, headers: { 'content-type': 'text/plain' } }), null)
  t.equal(read('', { headers: { ...JSON_TYPE, 'content-length': '0' } }), null)
  t.equal(read('{}', { method: 'DELETE' }), null)
  t.equal(read('{}', { method: 'GET' }), null)
  t.end()
})

void t.test('event streams, however the bytes are cut', t => {
  const progress = '{"method":"notifications/progress","params":{"error":{"not":"of the message"}}}'
  const cases: [string, number, boolean][] = [
    [`data: \nid: 0\nretry: 3000\n\n${event(result(true))}`, 1, true],
    [event(progress) + event(result(false)), 0, true],
    [event(progress) + event(error), 1, true],
    [event(progress), 0, false],
    [`: ping\n\n: ping\n\n${event(error)}`, 1, true],
    [event(`[${error},${result(true)}]`), 2, true],
    ['data: {"id":1,\ndata: "error":{"code":1}}\n\n', 1, true],
    ['data:{"id":1,"error":{"code":1}}\n\n', 1, true],
    [`data: ${error}`, 0, false]
  ]
  for (const [body, errors, isAnswered] of cases)
    for (const lineEnd of ['\n', '\r\n', '\r'])
      for (const size of [1, 2, 3, 11, Infinity]) {
        const events = body.replaceAll('\n', lineEnd)
        const said = `${JSON.stringify(events)} in parts of ${size}`
        t.same(read(events, { headers: EVENTS, size }), [errors, 0, isAnswered], said)
      }
  t.end()
})

void t.test('an event that is too long is unread, and what follows it is read', t => {
  const long = event(JSON.stringify({ id: 1, result: { text: 'x'.repeat(70 * KIB), isError: true } }))
  for (const size of [1_000, 16_384, 65_536]) {
    t.same(read(long, { headers: EVENTS, size }), [0, 1, false])
    t.same(read(long + event(error), { headers: EVENTS, size }), [1, 0, true], 'the response came after it')
    const stream = { headers: EVENTS, size, method: 'GET' }
    t.same(read(long + event(error) + long, stream), [1, 2, true], 'responses to several requests')
  }
  t.same(read('\x1f\x8b', { headers: { ...EVENTS, 'content-encoding': 'gzip' }, method: 'GET' }), [
    0,
    1,
    false
  ])
  t.end()
})
