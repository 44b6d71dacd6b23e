// Owns the witness: a plain hop between a client and whatever it is pointed at, which notes what passed.
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

export interface HandedOut {
  /** What a client was told its session is. */
  sessionId: string
  transport: 'streamable' | 'sse'
  /** When its last request was answered, in epoch ms. */
  lastAt: number
  /** The first accepted DELETE, or the end of the legacy stream. */
  ended: { by: 'delete' | 'stream_end'; at: number } | undefined
}

export class Hop {
  readonly url: string
  readonly #sessions = new Map<string, HandedOut>()
  /** Accepted requests of protocols that have no sessions. */
  sessionless = 0
  readonly #close: () => Promise<void>

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.#close = close
  }

  static async start(target: string): Promise<Hop> {
    const server = createServer((req, res) => hop.#forward(target, req, res))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const hop: Hop = new Hop(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    })
    return hop
  }

  /** The sessions that clients were told of, in that order. */
  get sessions(): HandedOut[] {
    return [...this.#sessions.values()]
  }

  stop(): Promise<void> {
    return this.#close()
  }

  #forward(target: string, req: IncomingMessage, res: ServerResponse): void {
    const headers = req.rawHeaders
    const upstream = httpRequest(new URL(req.url!, target), { method: req.method, headers, setHost: false })
    upstream.on('response', answer => {
      this.#note(req, answer)
      res.writeHead(answer.statusCode!, answer.rawHeaders).flushHeaders()
      pipeline(answer, res, () => undefined)
    })
    upstream.on('error', () => res.destroy())
    res.on('close', () => upstream.destroy())
    pipeline(req, upstream, () => undefined)
  }

  #note(req: IncomingMessage, answer: IncomingMessage): void {
    const accepted = answer.statusCode! < 300
    const session = this.#sessions.get(idOf(req, 'mcp-session-id') ?? messageSessionId(req) ?? '')
    const issued = idOf(answer, 'mcp-session-id')
    if (session) {
      session.lastAt = Date.now()
      if (req.method === 'DELETE' && accepted) session.ended ??= { by: 'delete', at: session.lastAt }
    } else if (issued !== undefined && accepted) this.#add(issued, 'streamable')
    else if (req.method === 'GET' && accepted) this.#watchLegacyStream(answer)
    else if (req.method === 'POST' && accepted) this.sessionless++
  }

  #add(sessionId: string, transport: HandedOut['transport']): HandedOut {
    const session: HandedOut = { sessionId, transport, lastAt: Date.now(), ended: undefined }
    this.#sessions.set(sessionId, session)
    return session
  }

  #watchLegacyStream(answer: IncomingMessage): void {
    let text = ''
    let session: HandedOut | undefined
    answer.on('data', (chunk: Buffer) => {
      if (session) return
      text += chunk.toString()
      const sessionId = /^data: .*[?&]session_?id=([^&\s]+)/im.exec(text)?.[1]
      if (sessionId !== undefined) session = this.#add(sessionId, 'sse')
    })
    answer.on('close', () => {
      if (session) session.ended = { by: 'stream_end', at: Date.now() }
    })
  }
}

function idOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

function messageSessionId(req: IncomingMessage): string | undefined {
  return /[?&]session_?id=([^&]+)/i.exec(req.url!)?.[1]
}
