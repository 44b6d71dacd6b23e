// Owns the gateway: each request of the driver brings the number of its script; what the proxy asks by itself is answered for
// the session that it names.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the gateway does with one request. */
export interface Script {
  status: number
  headers?: Record<string, string>
  body?: string
  delayMs?: number
  /** The head is sent at once, `body` as its first part; the rest is `write` and `finish`. */
  stream?: boolean
}

/** The field that carries the number of a script through the proxy. */
const FIELD = 'x-script'

/** One request as the gateway has it. Moments in epoch ms, 0: not yet. */
export class Scripted {
  receivedAt = 0
  /** Right before the head went out. */
  answeredAt = 0
  /** Right before the last byte went out, or the connection was cut. */
  finishedAt = 0
  /** The other side is gone, or has everything. */
  closedAt = 0
  #response: ServerResponse | undefined

  constructor(readonly script: Script) {}

  answer(response: ServerResponse): void {
    this.receivedAt = Date.now()
    this.#response = response
    response.once('close', () => (this.closedAt = Date.now()))
    const { delayMs = 0 } = this.script
    if (delayMs === 0) this.#begin(response)
    else setTimeout(() => this.#begin(response), delayMs)
  }

  #begin(response: ServerResponse): void {
    if (response.destroyed) return
    const { status, headers = {}, body = '', stream = false } = this.script
    this.answeredAt = Date.now()
    response.writeHead(status, headers)
    if (stream) {
      response.flushHeaders()
      if (body !== '') response.write(body)
      // It came later than its end was due.
      if (this.finishedAt > 0) response.end()
    } else {
      this.finishedAt = Date.now()
      response.end(body)
    }
  }

  /** Sends more of a stream; when. */
  write(text: string): number {
    const at = Date.now()
    this.#response?.write(text)
    return at
  }

  finish(cut = false): void {
    this.finishedAt ||= Date.now()
    if (cut) this.#response?.destroy()
    else this.#response?.end()
  }
}

/** A session that the proxy asks for by itself. */
export interface Asked {
  /** `answered`: the proxy has the answer at a moment between its two. */
  answer(method: string): { script: Script; answered: (from: number, to: number) => void }
}
/** Until the proxy has read what was written: a loaded machine. */
const READ_MS = 1_000
const LATE_MS = 10_000

export class ScriptedGateway {
  readonly sessions = new Map<string, Asked>()
  /** Requests of the proxy for sessions that never were. */
  strangers = 0
  readonly #scripts = new Map<string, Scripted>()
  #server: Server | undefined
  #port = 0
  #issued = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      request.resume().once('end', () => this.#answer(request, response))
    })
    this.#server.keepAliveTimeout = 60_000
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Cuts all connections, and takes none from then on. */
  async stop(): Promise<void> {
    for (const scripted of this.#scripts.values())
      if (scripted.receivedAt > 0) scripted.finishedAt ||= Date.now()
    const closed = once(this.#server!, 'close')
    this.#server!.close()
    this.#server!.closeAllConnections()
    await closed
  }

  /** The next request with these fields is answered so. */
  expect(script: Script): { field: Record<string, string>; scripted: Scripted } {
    const id = String(++this.#issued)
    const scripted = new Scripted(script)
    this.#scripts.set(id, scripted)
    return { field: { [FIELD]: id }, scripted }
  }

  /** The exchange is over; a request whose client left may still come. */
  forget(field: Record<string, string>): void {
    setTimeout(() => this.#scripts.delete(field[FIELD]!), LATE_MS).unref()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const scripted = this.#scripts.get(String(request.headers[FIELD]))
    if (scripted) return scripted.answer(response)
    const asked = this.sessions.get(String(request.headers['mcp-session-id']))
    if (!asked) {
      this.strangers++
      response.writeHead(404).end()
      return
    }
    const { script, answered } = asked.answer(request.method!)
    const own = new Scripted(script)
    response.once('close', () => answered(own.answeredAt, Date.now() + READ_MS))
    own.answer(response)
  }
}
