// Owns what both sides of the fuzz have in common: odd texts, bodies, ways to cut and bend bytes.
import type { Random } from '../support/random.js'

/** The bytes of a text, one for each character up to U+00FF. */
export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Values that parsers have got wrong. */
export function oddText(random: Random): string {
  return random.pick([
    '',
    ' ',
    'e',
    '0',
    '-1',
    '+5',
    '1e9',
    '0x10',
    '18446744073709551616',
    'NaN',
    '__proto__',
    'constructor',
    '%00',
    '%FF%FE',
    '%2e%2e',
    '../../x',
    "';--",
    '<script>',
    '${x}',
    '\u00ff\u00fe\u0080',
    '\t',
    '\v\f',
    '\0',
    'a\rb',
    'a\nb',
    'a, b',
    '"quoted',
    'x'.repeat(random.int(1, 300)),
    'y'.repeat(random.int(1_000, 20_000)),
    random.next().toString(36)
  ])
}

/** Bodies of JSON-RPC, nearly so, and others. */
export function oddBody(random: Random): string {
  const id = random.pick(['1', '"a"', 'null', '1e400', '{}', '[[]]'])
  const method = random.pick([
    'initialize',
    'tools/call',
    'ping',
    'subscriptions/listen',
    '',
    'x'.repeat(500)
  ])
  const call = `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"fuzz","version":"1"}}}}`
  return random.pick([
    call,
    call,
    call,
    '',
    '{}',
    'null',
    '[]',
    '{',
    '"',
    '\u00ef\u00bb\u00bf{}',
    '\u00ff\u00fe{\0}\0',
    call.slice(0, random.int(0, call.length)),
    '['.repeat(random.int(1, 20_000)),
    '{"a":'.repeat(random.int(1, 5_000)),
    `[${call},${call}]`,
    `{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Session not found"}}`,
    `{"jsonrpc":"2.0","id":1,"error":${random.pick(['null', '1', '{}', '"x"', '{"code":"x","message":7}'])}}`,
    `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":${random.pick(['null', '1', '"2025-06-18"', '[]', '"\\ud800"'])},"serverInfo":7}}`,
    `{"method":"initialize","params":{"clientInfo":${random.pick(['null', '1', '[]', '{"name":{},"version":[]}', '{"name":"\\u0000\\ud800"}'])}}}`,
    'z'.repeat(random.int(1, 100_000))
  ])
}

/** In chunks that are right, or nearly so. */
export function chunked(random: Random, body: string): string {
  const size = random.weighted<(length: number) => string>([
    [12, length => length.toString(16)],
    [1, length => length.toString(16).toUpperCase().padStart(random.int(1, 40), '0')],
    [1, length => `${length.toString(16)};${oddText(random)}`],
    [1, length => ` ${length.toString(16)} `],
    [1, length => (length + random.int(-3, 3)).toString(16)],
    [1, () => random.pick(['', 'g', '-1', '0x5', 'ffffffffffffffff', 'fffffffffffffffffff'])]
  ])
  const end = random.weighted<string>([
    [12, '\r\n'],
    [1, '\n'],
    [1, '\r'],
    [1, '']
  ])
  const trailer = random.chance(0.1) ? `X: ${oddText(random)}\r\n` : ''
  const last = random.chance(0.95) ? `0\r\n${trailer}\r\n` : ''
  return (body === '' ? '' : size(body.length) + end + body + end) + last
}

/** Changes some bytes, or cuts some off. */
export function bent(random: Random, bytes: Buffer): Buffer {
  if (bytes.length === 0 || random.chance(0.6)) return bytes
  const at = random.int(0, bytes.length - 1)
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  return random.pick([
    () => Buffer.concat([head, Buffer.from([random.int(0, 255)]), tail.subarray(1)]),
    () => Buffer.concat([head, tail.subarray(random.int(1, 10))]),
    () => Buffer.concat([head, head.subarray(-random.int(1, 50)), tail]),
    () => Buffer.concat([head, latin1(oddText(random)), tail]),
    () => head
  ])()
}

/** Parts in which to send bytes. */
export function parts(random: Random, bytes: Buffer): Buffer[] {
  const cuts = random.weighted([
    [6, 0],
    [3, 1],
    [1, 6]
  ] as const)
  const places = Array.from({ length: cuts }, () => random.int(0, bytes.length)).sort((a, b) => a - b)
  const edges = [0, ...places, bytes.length]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}
