// Owns a plain HTTP proxy that records which sessions clients were told of, and how they ended.
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

/** What passed of one session. */
export interface RecordedSession {
  /** What a client was told its session is. */
  sessionId: string
  transport: 'streamable' | 'sse'
  /** When its last request was answered, in epoch ms. */
  lastAt: number
  /** The first accepted DELETE, or the end of the legacy stream. */
  ended: { by: 'delete' | 'stream_end'; at: number } | undefined
}

/** Forwards all requests to one target, and records the sessions that it sees. */
export class HttpRecorder {
  readonly url: string
  readonly #sessions = new Map<string, RecordedSession>()
  /** Accepted requests of protocols that have no sessions. */
  sessionless = 0
  readonly #close: () => Promise<void>

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.#close = close
  }

  static async start(target: string): Promise<HttpRecorder> {
    const server = createServer((req, res) => recorder.#forward(target, req, res))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const recorder: HttpRecorder = new HttpRecorder(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      async () => {
        server.closeAllConnections()
        await new Promise(resolve => server.close(resolve))
      }
    )
    return recorder
  }

  /** The sessions that clients were told of, in that order. */
  get sessions(): RecordedSession[] {
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

  #add(sessionId: string, transport: RecordedSession['transport']): RecordedSession {
    const session: RecordedSession = { sessionId, transport, lastAt: Date.now(), ended: undefined }
    this.#sessions.set(sessionId, session)
    return session
  }

  #watchLegacyStream(answer: IncomingMessage): void {
    let text = ''
    let session: RecordedSession | undefined
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
