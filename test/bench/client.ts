// Owns the client's side of HTTP in the benchmarks: requests and answers over plain sockets, as little work as can be.
import { connect, type Socket } from 'node:net'

export const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } }
})
export const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
/** `id`: of its own within a session. */
export const toolCall = (id: number): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'echo', arguments: { text: 'x' } }
  })

/** The head of a POST with a body of so many bytes, or of a GET without one. */
export function requestHead({ host, pathname }: URL, session: string, bodyBytes?: number): string {
  const sessionLine = session === '' ? '' : `Mcp-Session-Id: ${session}\r\n`
  const common = `${pathname} HTTP/1.1\r\nHost: ${host}\r\n${sessionLine}Accept: application/json, text/event-stream\r\n`
  if (bodyBytes === undefined) return `GET ${common}\r\n`
  return `POST ${common}Content-Type: application/json\r\nContent-Length: ${bodyBytes}\r\n\r\n`
}

/** One answer, complete when `feed` says so. */
export class Answer {
  #text = ''
  /** Bytes of a sized body still to come. */
  #rest: number | undefined

  get ok(): boolean {
    return this.#text.startsWith('HTTP/1.1 2')
  }

  get session(): string {
    return /\r\nmcp-session-id: *(\S+)/i.exec(this.#text)?.[1] ?? ''
  }

  feed(part: Buffer): boolean {
    if (this.#rest !== undefined) return (this.#rest -= part.length) <= 0
    this.#text += part.toString('latin1')
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return false
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#text)?.[1]
    if (length === undefined)
      return this.#text.endsWith('\r\n0\r\n\r\n') || / (?:202|204) /.test(this.#text.slice(8, 13))
    this.#rest = Number(length) - (this.#text.length - end - 4)
    return this.#rest <= 0
  }
}

export function open({ hostname, port }: URL): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: hostname, noDelay: true })
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** One POST on a connection that has nothing else under way. */
export function post(socket: Socket, target: URL, session: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answer = new Answer()
    const broken = (): void => reject(new Error('The connection closed before its answer was complete'))
    const onData = (part: Buffer): void => {
      if (!answer.feed(part)) return
      socket.off('data', onData).off('close', broken)
      resolve(answer)
    }
    socket.on('data', onData).once('close', broken)
    socket.write(requestHead(target, session, body.length) + body, 'latin1')
  })
}

/** In µs. */
export interface Latencies {
  p50Us: number
  p95Us: number
  p99Us: number
}

export function quantiles(latenciesMs: number[]): Latencies {
  latenciesMs.sort((a, b) => a - b)
  const at = (quantile: number): number =>
    Math.round((latenciesMs[Math.ceil(latenciesMs.length * quantile) - 1] ?? Number.NaN) * 1000)
  return { p50Us: at(0.5), p95Us: at(0.95), p99Us: at(0.99) }
}
