// Owns what the clients know of their sessions: what they were told, and when they asked. Times in epoch ms.
import type { Member } from './fleet.js'

export const SSE = 1
export const STREAMABLE = 2

/** One session as its client knows it. */
export class ExpectedSession {
  readonly endpointId: string
  readonly sessionId: string
  readonly transport: typeof SSE | typeof STREAMABLE
  /** The session began between these. */
  readonly openSentAt: number
  readonly toldAt: number
  /** Whose it is; null: its client does not say. */
  readonly principal: string | null
  readonly conversation: string | null
  /** Requests that may have been accounted, the opening one included. */
  sent = 1
  /** The accepted ones after the opening one, by the proxy that brought the answer. */
  readonly accepted: { by: Member; at: number }[] = []
  /** The first DELETE was sent, and one was answered. */
  deleteSentAt: number | undefined
  deletedAt: number | undefined
  /** The client's end of the legacy stream is open. */
  streaming = false

  constructor(
    of: Pick<
      ExpectedSession,
      'endpointId' | 'sessionId' | 'transport' | 'openSentAt' | 'toldAt' | 'principal' | 'conversation'
    >
  ) {
    this.principal = of.principal
    this.conversation = of.conversation
    this.endpointId = of.endpointId
    this.sessionId = of.sessionId
    this.transport = of.transport
    this.openSentAt = of.openSentAt
    this.toldAt = of.toldAt
  }

  get key(): string {
    return keyOf(this)
  }

  /** Accepted requests of which the proxy certainly lived to tell. */
  get surelyAccounted(): number {
    return 1 + this.accepted.filter(({ by, at }) => by.wroteDown(at)).length
  }
}

/** `endpoint transport id`, the same for a client's session and for a row. */
export const keyOf = (s: { endpointId: string; transport: number; sessionId: string }): string =>
  `${s.endpointId} ${s.transport === SSE ? 'sse' : 'streamable'} ${s.sessionId}`

/** What all clients together were told; the ledger must agree with it at rest. */
export class ExpectedSessions {
  readonly sessions = new Map<string, ExpectedSession>()
  /** `initialize` requests without an answer, by endpoint: the gateway may have opened a session for each. */
  readonly openingsUnanswered = new Map<string, number>()
  requests = 0
  /** Requests without an answer. */
  failures = 0
  readonly violations: string[] = []

  add(session: ExpectedSession): void {
    if (this.sessions.has(session.key)) this.violations.push(`told twice: ${session.key}`)
    this.sessions.set(session.key, session)
  }

  noteUnanswered(endpointId: string): void {
    this.openingsUnanswered.set(endpointId, (this.openingsUnanswered.get(endpointId) ?? 0) + 1)
  }
}
