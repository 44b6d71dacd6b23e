// Owns the clients: sessions that come and go through whichever proxies, and clients that bear with failures.
import { setTimeout as sleep } from 'node:timers/promises'
import { jwt } from '../support/jwt.js'
import type { Random } from '../support/random.js'
import { type ExpectedSessions, ExpectedSession, SSE, STREAMABLE } from './expected-sessions.js'
import type { Member } from './fleet.js'
import type { Gateways } from './gateways.js'

const ISSUER = 'https://chaos.example'
const PEOPLE = Array.from({ length: 12 }, (_, i) => `person-${i}`)
const CONVERSATIONS = Array.from({ length: 30 }, (_, i) => `conversation-${i}`)
const ENDPOINTS = ['e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7']
const IMPATIENT_MS = 500
/** Longer than a proxy is ever frozen: answered after the thaw. */
const PATIENT_MS = 15_000

const rpc = (method: string, params: object, id?: number): string =>
  JSON.stringify({ jsonrpc: '2.0', method, params, ...(id === undefined ? {} : { id }) })
const initialize = rpc(
  'initialize',
  { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'chaos', version: '1' } },
  0
)
const initialized = rpc('notifications/initialized', {})
const echo = rpc('tools/call', { name: 'echo', arguments: { text: 'hello' } }, 1)
const jsonHeaders = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream'
}

export interface Manner {
  transport: typeof SSE | typeof STREAMABLE
  /** Requests in a session before its client leaves; Infinity: it stays as long as the session lives. */
  uses: number
  pauseMs: readonly [number, number]
  /** A client that was not answered goes on through another proxy. */
  persistent: boolean
}

/** One client, one session after the other, until the load ends. */
export class Client {
  readonly #fleet: readonly Member[]
  readonly #gateways: Gateways
  readonly #random: Random
  readonly #expected: ExpectedSessions
  readonly #end: AbortSignal
  /** On this visit. */
  #person: string | undefined
  #conversation: string | undefined

  constructor(
    fleet: readonly Member[],
    gateways: Gateways,
    random: Random,
    expected: ExpectedSessions,
    end: AbortSignal
  ) {
    this.#fleet = fleet
    this.#gateways = gateways
    this.#random = random
    this.#expected = expected
    this.#end = end
  }

  async run(manner: () => Manner): Promise<void> {
    while (!this.#end.aborted) {
      const next = manner()
      this.#person = this.#random.chance(0.8) ? this.#random.pick(PEOPLE) : undefined
      this.#conversation = this.#random.chance(0.7) ? this.#random.pick(CONVERSATIONS) : undefined
      await (next.transport === SSE ? this.#legacyVisit(next) : this.#streamableVisit(next))
      await this.#pause([0, 200])
    }
  }

  async #streamableVisit(manner: Manner): Promise<void> {
    const endpointId = this.#random.pick(ENDPOINTS)
    const path = `/stream/${endpointId}`
    const openSentAt = Date.now()
    const opened = await this.#send('POST', path, jsonHeaders, initialize)
    if (!opened) return this.#expected.noteUnanswered(endpointId)
    const sessionId = opened.headers.get('mcp-session-id')
    if (opened.status >= 500) return
    if (sessionId === null) return this.#unexpected(`initialize: ${opened.status} without a session id`)
    const session = new ExpectedSession({
      endpointId,
      sessionId,
      transport: STREAMABLE,
      openSentAt,
      toldAt: opened.at,
      ...this.#whose()
    })
    this.#expected.add(session)
    const headers = { ...jsonHeaders, 'mcp-session-id': sessionId }
    // The server ends a session whose first message after `initialize` is not this one.
    if ((await this.#use(session, 'POST', path, headers, initialized)) !== 'accepted') return
    const listening = this.#random.chance(0.3) ? new AbortController() : undefined
    if (listening) await this.#use(session, 'GET', path, headers, undefined, listening)
    const left = await this.#stay(session, path, headers, manner)
    listening?.abort()
    if (left === 'leaves' && this.#random.chance(0.8)) await this.#delete(session, path, headers, manner)
  }

  async #legacyVisit(manner: Manner): Promise<void> {
    const endpointId = this.#random.pick(ENDPOINTS)
    const openSentAt = Date.now()
    const leave = new AbortController()
    const opened = await this.#send(
      'GET',
      `/${endpointId}/sse`,
      { accept: 'text/event-stream' },
      undefined,
      leave
    )
    if (!opened) return
    const reader = opened.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>
    const first = await readWithin(reader, this.#patience())
    const sessionId = /sessionId=([^&\s]+)/.exec(first ?? '')?.[1]
    if (sessionId === undefined) return leave.abort()
    const session = new ExpectedSession({
      endpointId,
      sessionId,
      transport: SSE,
      openSentAt,
      toldAt: Date.now(),
      ...this.#whose()
    })
    this.#expected.add(session)
    session.streaming = true
    const ended = drain(reader).then(() => (session.streaming = false))
    const path = `/message?sessionId=${sessionId}&endpointId=${endpointId}`
    for (const message of [initialize, initialized]) {
      await this.#use(session, 'POST', path, jsonHeaders, message)
    }
    const left = await this.#stay(session, path, jsonHeaders, manner)
    if (left === 'stays') return
    leave.abort()
    await ended
  }

  /** Uses a session until its client wants to leave, the load ends or the session does. */
  async #stay(
    session: ExpectedSession,
    path: string,
    headers: Record<string, string>,
    manner: Manner
  ): Promise<'leaves' | 'stays' | 'gone'> {
    for (let uses = 0; uses < manner.uses; uses++) {
      const answer = await this.#use(session, 'POST', path, headers, echo)
      if (answer === 'gone' || (answer === 'failed' && !manner.persistent)) return 'gone'
      if (session.transport === SSE && !session.streaming) return 'gone'
      await this.#pause(manner.pauseMs)
      if (this.#end.aborted) return this.#random.chance(0.5) ? 'stays' : 'leaves'
    }
    return 'leaves'
  }

  async #use(
    session: ExpectedSession,
    method: 'GET' | 'POST',
    path: string,
    headers: Record<string, string>,
    body?: string,
    leave?: AbortController
  ): Promise<'accepted' | 'gone' | 'failed'> {
    session.sent++
    const answer = await this.#send(method, path, headers, body, leave)
    if (!answer) return 'failed'
    if (answer.status < 300) {
      session.accepted.push({ by: answer.by, at: answer.at })
      return 'accepted'
    }
    if (answer.status === 410 || (session.transport === SSE && answer.status === 404)) return 'gone'
    if (answer.status !== 401) return 'failed'
    if (session.deleteSentAt === undefined && !this.#gateways.restartedSince(session.openSentAt))
      this.#unexpected(`401 without a DELETE: ${session.key}`)
    return 'gone'
  }

  async #delete(
    session: ExpectedSession,
    path: string,
    headers: Record<string, string>,
    manner: Manner
  ): Promise<void> {
    for (let attempt = 1; attempt <= (manner.persistent ? 2 : 1); attempt++) {
      session.deleteSentAt ??= Date.now()
      const answer = await this.#send('DELETE', path, headers)
      if (answer?.status !== 202) continue
      session.deletedAt = answer.at
      return
    }
  }

  #whose(): Pick<ExpectedSession, 'principal' | 'conversation'> {
    const principal = this.#person === undefined ? null : `${ISSUER}#${this.#person}`
    return { principal, conversation: this.#conversation ?? null }
  }

  /** What says whose a request is: the token is another one each time. */
  #identity(): Record<string, string> {
    const token = { iss: ISSUER, sub: this.#person, nonce: this.#random.next() }
    return {
      ...(this.#person !== undefined && { authorization: `Bearer ${jwt(token)}` }),
      ...(this.#conversation !== undefined && { 'mcp-client-session-id': this.#conversation })
    }
  }

  /** One request through whichever proxy; undefined without an answer. `leave`: the body is the caller's to read. */
  async #send(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
    leave?: AbortController
  ): Promise<
    { status: number; headers: Headers; body: Response['body']; by: Member; at: number } | undefined
  > {
    const by = this.#random.pick(this.#fleet)
    const impatience = new AbortController()
    const timer = setTimeout(() => impatience.abort(), this.#patience())
    this.#expected.requests++
    const sentAt = Date.now()
    try {
      const signal = leave ? AbortSignal.any([leave.signal, impatience.signal]) : impatience.signal
      const response = await fetch(by.url + path, {
        ...{ method, body: body ?? null, signal },
        headers: { ...headers, ...this.#identity() }
      })
      const at = Date.now()
      if (!leave) await response.arrayBuffer().catch(() => undefined)
      else if (method === 'GET' && path.startsWith('/stream/'))
        void response.arrayBuffer().catch(() => undefined)
      // The proxy itself answers that it cannot reach the gateway; or, while the store is away, that it does not know it: a
      // legacy session that is only beginning cannot be asked for.
      const isUnknown =
        body !== undefined && [initialize, initialized].includes(body) && path.startsWith('/message')
      if (response.status >= 500 && !isUnknown && !this.#gateways.disturbedSince(sentAt))
        this.#unexpected(`${method} ${path}: ${response.status} by ${by.name}`)
      return { status: response.status, headers: response.headers, body: response.body, by, at }
    } catch {
      this.#expected.failures++
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }

  #patience(): number {
    return this.#random.chance(0.85) ? IMPATIENT_MS : PATIENT_MS
  }

  async #pause(range: readonly [number, number]): Promise<void> {
    const pauseMs = this.#random.int(...range)
    await sleep(pauseMs, undefined, { signal: this.#end }).catch(() => undefined)
  }

  #unexpected(what: string): void {
    this.#expected.violations.push(what)
  }
}

/** Text read before the client loses its patience or the stream ends. */
async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  patienceMs: number
): Promise<string | undefined> {
  const read = reader.read().catch(() => undefined)
  const first = await Promise.race([read, sleep(patienceMs, undefined)])
  return first?.value && Buffer.from(first.value).toString()
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // It broke off.
  }
}
