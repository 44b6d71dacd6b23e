// Owns what is accounted of an exchange: taps that read the answer on its way and never change or delay it.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Client, Observe, StreamNews } from '../sessions/observation.js'
import { isSessionless } from '../sessions/signals.js'
import type { AnswerHeaders } from './answer-parser.js'
import type { Callers } from './callers.js'
import { EndpointEvent } from './endpoint-event.js'
import { addressOf } from './headers.js'
import type { Route, Routes } from './routes.js'

/** Its ids as on the wire. */
export interface StreamSession {
  endpointId: string
  sessionId: string
}

/** Each call comes before what it speaks of goes to the client. */
export interface Tap {
  /** The session whose messages the answer carries, once that is known. */
  readonly streamOf: StreamSession | undefined
  /** The final head of the answer came. */
  head(status: number, headers: AnswerHeaders): void
  /** A part of the body came. */
  chunk(chunk: Buffer): void
  /** The answer ended or broke off (`byUpstream`), or the client left; once, and only after `head`. */
  end(byUpstream: boolean): void
}

/** The tap for a request whose target, in origin-form, is `target`; undefined where nothing is accounted. */
export function tapFor(
  req: IncomingMessage,
  target: string,
  routes: Routes,
  callers: Callers,
  observe: Observe
): Tap | undefined {
  const route = routes.match(req.method, target)
  switch (route?.kind) {
    case undefined:
      return undefined
    case 'streamable':
      return new StreamableTap(route.endpointId, req, target, callers, observe)
    case 'legacy-stream':
      return new LegacyStreamTap(route.endpointId, req, observe)
    case 'message':
      return new MessageTap(route, req, observe)
  }
}

/** What rmcp 0.x answers, with 401, for a session it does not know. */
export const SESSION_NOT_FOUND = 'Unauthorized: Session not found'
const sessionNotFound = Buffer.from(SESSION_NOT_FOUND)

class StreamableTap implements Tap {
  readonly #endpointId: string
  readonly #req: IncomingMessage
  readonly #target: string
  readonly #callers: Callers
  readonly #observe: Observe
  /** The session whose messages this stream carries. */
  #streamOf: string | undefined
  /** Set while only the body can tell which kind of 401 this is. */
  #undecided: { emit: (notFound: boolean) => void; matched: number } | undefined

  constructor(endpointId: string, req: IncomingMessage, target: string, callers: Callers, observe: Observe) {
    this.#endpointId = endpointId
    this.#req = req
    this.#target = target
    this.#callers = callers
    this.#observe = observe
  }

  get streamOf(): StreamSession | undefined {
    const sessionId = this.#streamOf
    return sessionId === undefined ? undefined : { endpointId: this.#endpointId, sessionId }
  }

  head(status: number, headers: AnswerHeaders): void {
    const request = this.#req.headers
    const sessionId = text(request['mcp-session-id'])
    const issuedSessionId = text(headers['mcp-session-id'])
    const protocolVersion = text(request['mcp-protocol-version'])
    const at = Date.now()
    const emit = (notFound: boolean): void =>
      this.#observe({
        kind: 'streamable',
        endpointId: this.#endpointId,
        method: this.#req.method ?? '',
        status,
        sessionId,
        issuedSessionId,
        protocolVersion,
        sessionNotFound: notFound,
        client: clientOf(this.#req),
        at
      })
    if (status < 300 && isEventStream(headers)) this.#streamOf = sessionId
    this.#noteCaller(status, issuedSessionId ?? sessionId, protocolVersion)
    if (status === 401 && sessionId !== undefined && headers['www-authenticate'] === undefined) {
      this.#undecided = { emit, matched: 0 }
    } else {
      emit(false)
    }
  }

  chunk(chunk: Buffer): void {
    if (hasMessage(chunk)) this.#tell('server-message')
    if (this.#undecided === undefined) return
    const { matched } = this.#undecided
    const expected = sessionNotFound.subarray(matched, matched + chunk.length)
    if (!expected.equals(chunk.subarray(0, expected.length))) this.#decide(false)
    else if (matched + expected.length === sessionNotFound.length) this.#decide(true)
    else this.#undecided.matched += expected.length
  }

  end(byUpstream: boolean): void {
    this.#decide(false)
    const session = this.#streamOf
    if (!byUpstream || this.#req.method !== 'GET' || session === undefined) return
    // After a DELETE there is nobody left to ask for.
    if (this.#callers.of(this.#endpointId, session)) this.#tell('upstream-ended')
  }

  /** Tells news of the stream, if this is one. */
  #tell(kind: StreamNews['kind']): void {
    const [endpointId, sessionId] = [this.#endpointId, this.#streamOf]
    if (sessionId === undefined) return
    this.#observe({ kind, endpointId, sessionId, client: clientOf(this.#req), at: Date.now() })
  }

  #noteCaller(status: number, sessionId: string | undefined, protocolVersion: string | undefined): void {
    if (sessionId === undefined || isSessionless(protocolVersion)) return
    const { method, headers } = this.#req
    if (status >= 300) return
    if (method === 'DELETE') return this.#callers.forget(this.#endpointId, sessionId)
    this.#callers.note(this.#endpointId, {
      target: this.#target,
      host: headers.host,
      sessionId,
      protocolVersion,
      authorization: headers.authorization
    })
  }

  #decide(notFound: boolean): void {
    const undecided = this.#undecided
    this.#undecided = undefined
    undecided?.emit(notFound)
  }
}

class MessageTap implements Tap {
  readonly streamOf = undefined
  readonly #route: Route & { kind: 'message' }
  readonly #req: IncomingMessage
  readonly #observe: Observe

  constructor(route: Route & { kind: 'message' }, req: IncomingMessage, observe: Observe) {
    this.#route = route
    this.#req = req
    this.#observe = observe
  }

  head(status: number): void {
    const { endpointId, sessionId } = this.#route
    this.#observe({
      kind: 'message',
      endpointId,
      sessionId,
      status,
      client: clientOf(this.#req),
      at: Date.now()
    })
  }

  chunk(): void {
    // The body tells nothing.
  }

  end(): void {
    // Nor does its end.
  }
}

class LegacyStreamTap implements Tap {
  readonly #endpointId: string
  readonly #client: Client
  readonly #observe: Observe
  #event: EndpointEvent | undefined
  #sessionId: string | undefined

  constructor(endpointId: string, req: IncomingMessage, observe: Observe) {
    this.#endpointId = endpointId
    this.#client = clientOf(req)
    this.#observe = observe
  }

  get streamOf(): StreamSession | undefined {
    const sessionId = this.#sessionId
    return sessionId === undefined ? undefined : { endpointId: this.#endpointId, sessionId }
  }

  head(status: number, headers: AnswerHeaders): void {
    if (status < 300 && isEventStream(headers)) this.#event = new EndpointEvent()
  }

  chunk(chunk: Buffer): void {
    if (this.#event === undefined) return
    this.#event.feed(chunk)
    if (!this.#event.done) return
    this.#sessionId = this.#event.sessionId
    this.#event = undefined
    this.#emit('legacy-opened')
  }

  end(): void {
    this.#emit('legacy-ended')
  }

  #emit(kind: 'legacy-opened' | 'legacy-ended'): void {
    const sessionId = this.#sessionId
    if (sessionId === undefined) return
    const endpointId = this.#endpointId
    this.#observe({ kind, endpointId, sessionId, client: this.#client, at: Date.now() })
  }
}

/** An event stream that can be read as it is. */
function isEventStream(headers: AnswerHeaders): boolean {
  const type = text(headers['content-type']) ?? ''
  return headers['content-encoding'] === undefined && /^text\/event-stream\b/i.test(type)
}

const COLON = 0x3a

/** Whether a chunk of an event stream is more than a comment, as servers send them to keep a stream alive. */
function hasMessage(chunk: Buffer): boolean {
  return chunk[0] !== COLON || chunk.includes('\ndata:')
}

function clientOf(req: IncomingMessage): Client {
  return { address: addressOf(req), userAgent: req.headers['user-agent'] }
}

function text(value: IncomingHttpHeaders[string]): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
