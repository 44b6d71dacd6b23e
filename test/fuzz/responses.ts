// Owns the responses of the fuzz: those of an MCP gateway, with something odd in them.
import type { Random } from '../support/random.js'
import { bent, chunked, latin1, oddBody, oddText } from './bytes.js'

/** The bytes of a response, and of what comes with it. */
export function oddResponse(random: Random): Buffer {
  const interim = random.chance(0.1)
    ? `HTTP/1.1 ${random.pick(['100 Continue', '103 Early Hints', '102', '199 x'])}\r\n${random.chance(0.5) ? `Link: ${oddText(random)}\r\n` : ''}\r\n`.repeat(
        random.int(1, 20)
      )
    : ''
  return bent(random, latin1(interim + response(random) + (random.chance(0.03) ? response(random) : '')))
}

function response(random: Random): string {
  const status = random.weighted<string>([
    [10, '200 OK'],
    [4, random.pick(['202 Accepted', '204 No Content', '201', '206 Partial', '304 Not Modified'])],
    [4, random.pick(['404 Not Found', '401 Unauthorized', '400 Bad', '405 No', '410 Gone'])],
    [2, random.pick(['500 x', '503 y', '101 Switching Protocols', '999 z', '600'])],
    [1, oddText(random)]
  ])
  const version = random.chance(0.95)
    ? 'HTTP/1.1'
    : random.pick(['HTTP/1.0', 'HTTP/2', 'ICY', 'http/1.1', '', 'SSH-2.0-x'])
  const body = random.chance(0.5) ? eventStream(random) : oddBody(random)
  const framing = random.weighted<() => [string[], string]>([
    [6, () => [[`Content-Length: ${body.length}`], body]],
    [6, () => [['Transfer-Encoding: chunked'], chunked(random, body)]],
    [2, () => [[], body]],
    [1, () => [[`Content-Length: ${random.int(0, body.length + 10)}`], body]],
    [1, () => [[`Content-Length: ${oddText(random)}`], body]],
    [
      1,
      () => [
        [`Transfer-Encoding: ${random.pick(['gzip', 'chunked, gzip', 'identity', oddText(random)])}`],
        body
      ]
    ],
    [1, () => [['Transfer-Encoding: chunked', `Content-Length: ${body.length}`], chunked(random, body)]]
  ])
  const [framed, bytes] = framing()
  const end = random.chance(0.97) ? '\r\n' : random.pick(['\n', '\r'])
  return (
    [`${version} ${status}`, ...random.shuffle([...framed, ...fieldsOf(random)]), '', ''].join(end) + bytes
  )
}

function fieldsOf(random: Random): string[] {
  const known: (() => string)[] = [
    () => `Content-Type: ${random.pick(['text/event-stream', 'application/json', oddText(random)])}`,
    () => `Content-Type: text/event-stream`,
    () => `Mcp-Session-Id: ${random.chance(0.5) ? random.next().toString(36) : oddText(random)}`,
    () => `Connection: ${random.pick(['close', 'keep-alive', 'upgrade', 'Mcp-Session-Id', oddText(random)])}`,
    () => `Keep-Alive: ${random.pick(['timeout=1', 'timeout=0', 'timeout=-5', oddText(random)])}`,
    () => `Upgrade: ${random.pick(['websocket', oddText(random)])}`,
    () => `Content-Encoding: ${random.pick(['gzip', 'br', 'deflate', 'zstd', oddText(random)])}`,
    () => `WWW-Authenticate: ${oddText(random)}`,
    () => `Set-Cookie: ${oddText(random)}`,
    () => `Content-Length: ${random.pick(['0', '5', oddText(random)])}`,
    () => `${oddText(random)}: ${oddText(random)}`,
    () => ` folded ${oddText(random)}`,
    () => oddText(random)
  ]
  const count = random.weighted([
    [10, random.int(0, 3)],
    [2, random.int(4, 10)],
    [0.1, 300]
  ])
  return Array.from({ length: count }, () => random.pick(random.chance(0.9) ? known.slice(0, 9) : known)())
}

function eventStream(random: Random): string {
  const end = (): string => random.pick(['\n', '\n', '\r\n', '\r'])
  const line = (): string =>
    random.pick([
      () => `data: ${oddBody(random).slice(0, 2_000)}`,
      () =>
        `data: /message?sessionId=${random.chance(0.5) ? random.next().toString(36) : oddText(random)}&endpointId=e`,
      () => `data: ${oddText(random)}`,
      () => `event: ${random.pick(['endpoint', 'message', oddText(random)])}`,
      () => `id: ${oddText(random)}`,
      () => `retry: ${oddText(random)}`,
      () => `: ${oddText(random)}`,
      () => oddText(random),
      () => ''
    ])()
  return Array.from({ length: random.int(0, 12) }, () => line() + end()).join('')
}
