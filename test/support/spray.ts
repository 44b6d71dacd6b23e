// Owns a plain HTTP proxy that sends each request to another of its targets, and records who asked for what.
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

/** A request that was answered, or was not (status 0). */
export interface SprayedRequest {
  method: string
  path: string
  /** Of the header, or of the URL of a legacy message. */
  sessionId: string | undefined
  userAgent: string | undefined
  status: number
  /** Until the head of the answer. */
  ms: number
}

/** Forwards each request to one of the targets, in turn. */
export class Spray {
  readonly url: string
  readonly requests: SprayedRequest[] = []
  readonly #close: () => Promise<void>
  readonly #agent = new Agent({ keepAlive: true })
  #turn = 0

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.#close = close
  }

  static async start(targets: readonly string[]): Promise<Spray> {
    // Idle connections stay: a client may be sending its next request on one.
    const server = createServer({ keepAliveTimeout: 0 }, (req, res) => spray.#forward(targets, req, res))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', 1_024, resolve))
    const spray: Spray = new Spray(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      server.closeAllConnections()
      spray.#agent.destroy()
      await new Promise(resolve => server.close(resolve))
    })
    return spray
  }

  stop(): Promise<void> {
    return this.#close()
  }

  #forward(targets: readonly string[], req: IncomingMessage, res: ServerResponse): void {
    const target = targets[this.#turn++ % targets.length]!
    const { method = '', url = '', headers, rawHeaders } = req
    const sentAt = performance.now()
    const note = (status: number): void => {
      const sessionId =
        (headers['mcp-session-id'] as string | undefined) ?? /[?&]sessionId=([^&]+)/.exec(url)?.[1]
      const ms = performance.now() - sentAt
      this.requests.push({ method, path: url, sessionId, userAgent: headers['user-agent'], status, ms })
    }
    const upstream = httpRequest(new URL(url, target), {
      ...{ method, headers: rawHeaders, setHost: false, agent: this.#agent }
    })
    upstream.on('response', answer => {
      note(answer.statusCode!)
      res.writeHead(answer.statusCode!, answer.rawHeaders).flushHeaders()
      pipeline(answer, res, () => undefined)
    })
    upstream.on('error', () => {
      // A client that left is no failure.
      if (!res.headersSent && !res.destroyed) note(0)
      res.destroy()
    })
    res.on('close', () => upstream.destroy())
    pipeline(req, upstream, () => undefined)
  }
}
