// Owns the requests of the fuzz: those of MCP, with something odd in them.
import type { Random } from '../support/random.js'
import { bent, chunked, latin1, oddBody, oddText } from './bytes.js'

/** The bytes of one or several requests on a connection. */
export function oddRequests(random: Random): Buffer {
  const count = random.chance(0.9) ? 1 : random.int(2, 4)
  return bent(random, Buffer.concat(Array.from({ length: count }, () => oddRequest(random))))
}

function oddRequest(random: Random): Buffer {
  const method = random.weighted<string>([
    [10, 'POST'],
    [5, 'GET'],
    [3, 'DELETE'],
    [2, random.pick(['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'TRACE', 'CONNECT', 'PRI', 'post', 'M-SEARCH'])],
    [1, oddText(random)]
  ])
  const version = random.chance(0.95)
    ? 'HTTP/1.1'
    : random.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTP/1.1 ', '', 'RTSP/1.0'])
  const body = random.chance(0.6) ? oddBody(random) : ''
  const inChunks = random.chance(0.3)
  const fields = [
    ...fieldsOf(random),
    ...(random.chance(0.95) ? ['Host: gateway'] : [`Host: ${oddText(random)}`]),
    ...(inChunks ? ['Transfer-Encoding: chunked'] : body ? [`Content-Length: ${body.length}`] : [])
  ]
  const end = random.chance(0.97) ? '\r\n' : random.pick(['\n', '\r'])
  const head = [`${method} ${target(random)} ${version}`, ...random.shuffle(fields), '', ''].join(end)
  return latin1(head + (inChunks ? chunked(random, body) : body))
}

function target(random: Random): string {
  const id = (): string => (random.chance(0.8) ? random.pick(['e', 'f']) : oddText(random))
  return random.weighted<() => string>([
    [10, () => `/stream/${id()}`],
    [3, () => `/${id()}/sse`],
    [4, () => `/message?sessionId=${oddText(random)}&endpointId=${id()}`],
    [1, () => `http://gateway/stream/${id()}`],
    [
      1,
      () => random.pick(['*', '/', '//', '', '/#', '/?', '/..', '/stream', '/stream/', 'x', 'http://', 'a:1'])
    ],
    [1, () => `/${oddText(random)}`],
    [1, () => `/stream/${id()}?${oddText(random)}=${oddText(random)}`]
  ])()
}

function fieldsOf(random: Random): string[] {
  const known: (() => string)[] = [
    () => `Mcp-Session-Id: ${random.chance(0.5) ? random.next().toString(36) : oddText(random)}`,
    () => `Mcp-Protocol-Version: ${random.pick(['2025-06-18', '2026-07-28', '2024-11-05', oddText(random)])}`,
    () => `Mcp-Method: ${random.pick(['initialize', 'tools/call', 'subscriptions/listen', oddText(random)])}`,
    () => `Mcp-Name: ${oddText(random)}`,
    () =>
      `Accept: ${random.pick(['text/event-stream', 'application/json, text/event-stream', oddText(random)])}`,
    () => `Content-Type: ${random.pick(['application/json', oddText(random)])}`,
    () => `Content-Length: ${random.pick(['0', '1', '5', '100000', oddText(random)])}`,
    () =>
      `Transfer-Encoding: ${random.pick(['chunked', 'gzip, chunked', 'chunked, chunked', 'xchunked', 'identity', oddText(random)])}`,
    () =>
      `Connection: ${random.pick(['close', 'keep-alive', 'upgrade', 'Mcp-Session-Id', 'Host', 'Content-Length', oddText(random)])}`,
    () => `Upgrade: ${random.pick(['websocket', 'h2c', oddText(random)])}`,
    () => `Expect: ${random.pick(['100-continue', oddText(random)])}`,
    () => `Authorization: ${random.pick(['Bearer x', 'Basic eDp5', oddText(random)])}`,
    () => `User-Agent: ${oddText(random)}`,
    () => `X-Forwarded-For: ${random.pick(['1.2.3.4', '::1', 'unknown', oddText(random)])}`,
    () => `Origin: ${oddText(random)}`,
    () => `Last-Event-Id: ${oddText(random)}`,
    () => `Content-Encoding: ${random.pick(['gzip', 'br', oddText(random)])}`,
    () => `Trailer: ${oddText(random)}`,
    () => `Te: ${oddText(random)}`,
    () => `${oddText(random)}: ${oddText(random)}`,
    () => `X${' '.repeat(random.int(0, 2))}:${oddText(random)}`,
    () => ` folded ${oddText(random)}`,
    () => oddText(random)
  ]
  const count = random.weighted([
    [10, random.int(0, 3)],
    [2, random.int(4, 10)],
    [0.1, 150]
  ])
  return Array.from({ length: count }, () => random.pick(random.chance(0.9) ? known.slice(0, 10) : known)())
}
