// Owns the reading of responses: the same events however the bytes are split, and an error for all that is unusual.
import { deepEqual } from 'node:assert/strict'
import { test } from 'tap'
import { InvalidUpstreamResponse } from '../../../src/proxy/http/proxy-errors.js'
import { ResponseParser, type ResponseHandler } from '../../../src/proxy/upstream/response-parser.js'
import { Random } from '../../support/random.js'

/** What a parser tells of `parts`, with the data of one response in one piece; ends with the error, if there is one. */
function read(parts: Buffer[], methods: string[], closes = false): unknown[] {
  const told: unknown[] = []
  const parser = new ResponseParser()
  let body = ''
  const next = (): void => {
    const method = methods.shift()
    if (method !== undefined) parser.begin(method, handler)
  }
  const handler: ResponseHandler = {
    onInformation: head => told.push(head),
    onHead: head => told.push(head),
    onData: part => (body += part.toString('latin1')),
    onEnd: trailers => {
      told.push(body, trailers, parser.reusable)
      body = ''
      next()
    }
  }
  next()
  try {
    for (const part of parts) parser.feed(part)
    if (closes) parser.finish()
  } catch (error) {
    if (!(error instanceof InvalidUpstreamResponse)) throw error
    told.push(body, error.message)
  }
  return told
}

interface Made {
  bytes: string
  method: string
  told: unknown[]
}

function anAnswer(random: Random): Made {
  const text = (length: number): string =>
    Array.from({ length }, () => random.pick(['a', 'ÿ', '\r\n', '\0', ' ', '0'])).join('')
  let bytes = ''
  const told: unknown[] = []
  const tell = (status: number, fields: [string, string][]): void => {
    bytes += `HTTP/1.1 ${status} Why\r\n`
    const headers = Object.create(null) as Record<string, string>
    for (const [name, value] of fields) {
      bytes += `${name}:${random.pick(['', ' ', '\t '])}${value}${random.pick(['', ' '])}\r\n`
      const before = headers[name.toLowerCase()]
      headers[name.toLowerCase()] = before === undefined ? value : `${before}, ${value}`
    }
    bytes += '\r\n'
    told.push({ status, reason: 'Why', fields: fields.flat(), headers })
  }
  for (let i = random.int(0, 2); i > 0; i--) tell(random.pick([100, 102, 103]), [['Link', '<x>']])
  const some: [string, string][] = [
    ['X-A', 'b'],
    ['x-a', 'é'],
    ['__proto__', '']
  ]
  const fields = some.slice(random.int(0, 3))
  const body = text(random.int(0, 49))
  const method = random.pick(['GET', 'GET', 'HEAD'])
  const status = random.pick([200, 200, 404, 204, 304])
  const trailers = random.pick<string[]>([[], ['X-T', '1']])
  const bare = method === 'HEAD' || status === 204 || status === 304
  if (random.chance(0.5)) {
    tell(status, [...fields, ['Content-Length', String(body.length)]])
    if (!bare) bytes += body
    told.push(bare ? '' : body, [], !bare || body === '')
  } else {
    tell(status, [['Transfer-Encoding', 'chunked'], ...fields])
    if (!bare) {
      for (let at = 0; at < body.length;) {
        const part = body.slice(at, at + random.int(1, 20))
        bytes += `${part.length.toString(16)}${random.pick(['', ' ;x="y"'])}\r\n${part}\r\n`
        at += part.length
      }
      bytes += `0\r\n${trailers.length > 0 ? 'X-T: 1\r\n' : ''}\r\n`
    }
    told.push(bare ? '' : body, bare ? [] : trailers, !bare)
  }
  return { bytes, method, told }
}

function split(bytes: Buffer, random: Random): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.int(0, random.chance(0.5) ? 2 : 40)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

await test('responses are read as they were made, however they are split', t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  for (let round = 0; round < 3_000; round++) {
    const made = Array.from({ length: random.int(1, 4) }, () => anAnswer(random))
    const bytes = Buffer.from(made.map(response => response.bytes).join(''), 'latin1')
    const expected = made.flatMap(response => response.told)
    const methods = made.map(response => response.method)
    const told = read(split(bytes, random), methods)
    deepEqual(told, expected)
  }
  t.pass('3,000 rounds')
  t.end()
})

await test('damaged responses give the same, or the same error, however they are split', t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  let errors = 0
  for (let round = 0; round < 10_000; round++) {
    const made = anAnswer(random)
    const bytes = Buffer.from(made.bytes, 'latin1')
    for (let damage = random.int(1, 3); damage > 0; damage--) {
      bytes[random.int(0, bytes.length - 1)] = random.pick([0, 9, 10, 13, 32, 48, 58, 59, 65, 102, 127, 255])
    }
    const whole = read([bytes], [made.method], true)
    const parts = read(split(bytes, random), [made.method], true)
    deepEqual(parts, whole)
    if (typeof whole.at(-1) === 'string') errors++
  }
  t.ok(errors > 2_000 && errors < 9_900, `${errors} of 10,000 were refused`)
  t.end()
})

const head = (...lines: string[]): string => [...lines, '', ''].join('\r\n')

const refused: Record<string, string> = {
  'another protocol': 'HTTQ',
  'another version': head('HTTP/2.0 200 OK', 'Content-Length: 0'),
  'no status': head('HTTP/1.1 OK'),
  'a status of two digits': head('HTTP/1.1 20 OK'),
  'a bare LF behind a field': 'HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n',
  'a bare CR in a field': head('HTTP/1.1 200 OK', 'A: b\rc', 'Content-Length: 0'),
  'a folded field': head('HTTP/1.1 200 OK', 'A: b', ' c', 'Content-Length: 0'),
  'a space before the colon': head('HTTP/1.1 200 OK', 'Content-Length : 0'),
  'a field without a name': head('HTTP/1.1 200 OK', ': b', 'Content-Length: 0'),
  'a NUL in a field': head('HTTP/1.1 200 OK', 'A: \0', 'Content-Length: 0'),
  'two lengths': head('HTTP/1.1 200 OK', 'Content-Length: 1', 'Content-Length: 1') + 'a',
  'a length with a sign': head('HTTP/1.1 200 OK', 'Content-Length: +1') + 'a',
  'an empty length': head('HTTP/1.1 200 OK', 'Content-Length:'),
  'a length and chunks': head('HTTP/1.1 200 OK', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
  'chunks in HTTP/1.0': head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'),
  'chunked twice': head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
  'another coding': head('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip'),
  'a switch of protocols': head('HTTP/1.1 101 Switching Protocols'),
  'more than was asked for': head('HTTP/1.1 200 OK', 'Content-Length: 1') + 'ab',
  'a head without end': `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(70_000)}`,
  'an end in the body': head('HTTP/1.1 200 OK', 'Content-Length: 2') + 'a',
  'an end in the head': 'HTTP/1.1 200 OK\r\n',
  'an end in the chunks': head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked') + '1\r\na\r\n'
}

const refusedChunks = [
  'g\r\n',
  '-1\r\n',
  ' 1\r\na\r\n',
  '1\na\r\n',
  '1\r\nab\r\n',
  '0x1\r\na\r\n',
  `1;${'x'.repeat(5_000)}`
]
for (const chunk of refusedChunks) {
  refused[`the chunk ${JSON.stringify(chunk.slice(0, 10))}`] =
    head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked') + chunk
}

await test('a response of length 00 is complete', t => {
  const told = read([Buffer.from(head('HTTP/1.1 200 OK', 'Content-Length: 00'))], ['GET'])
  t.same(told.slice(1), ['', [], true])
  t.end()
})

await test('a connection is not used after a response that has no body but announces one', t => {
  for (const [method, status] of [
    ['POST', '204 No Content'],
    ['GET', '304 Not Modified'],
    ['HEAD', '200 OK']
  ] as const) {
    for (const [field, reusable] of [
      ['Transfer-Encoding: chunked', false],
      ['Content-Length: 5', false],
      ['Content-Length: 0', true],
      ['A: b', true]
    ] as const) {
      const told = read([Buffer.from(head(`HTTP/1.1 ${status}`, field))], [method])
      t.same(told.slice(1), ['', [], reusable], `${status} with ${field}`)
    }
  }
  t.end()
})

await test('how long the upstream leaves a connection open, with a margin of a second', t => {
  for (const [fields, keepAliveMs, reusable] of [
    [[], undefined, true],
    [['Keep-Alive: timeout=5'], 4_000, true],
    [['keep-alive: max=100, Timeout = "2"'], 1_000, true],
    [['Keep-Alive: max=100', 'Keep-Alive: timeout=3'], 2_000, true],
    [['Keep-Alive: timeout=600'], 60_000, true],
    [['Keep-Alive: timeout=1'], 0, false],
    [['Keep-Alive: timeout=0'], -1_000, false],
    [['Keep-Alive: 300'], undefined, true],
    [['Keep-Alive: idletimeout=1'], undefined, true],
    [['Keep-Alive: timeout=-1'], undefined, true]
  ] as const) {
    const parser = new ResponseParser()
    const ignore = (): void => undefined
    parser.begin('GET', { onInformation: ignore, onHead: ignore, onData: ignore, onEnd: ignore })
    parser.feed(Buffer.from(head('HTTP/1.1 200 OK', ...fields, 'Content-Length: 0')))
    t.equal(parser.keepAliveMs, keepAliveMs, fields.join())
    t.equal(parser.reusable, reusable, fields.join())
  }
  t.end()
})

await test('what is unusual is an error', t => {
  for (const [name, bytes] of Object.entries(refused)) {
    t.type(read([Buffer.from(bytes, 'latin1')], ['GET'], true).at(-1), 'string', name)
  }
  t.end()
})
