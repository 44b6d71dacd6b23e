// Owns session-less clients: what the documentation says of their visits, and clients that make them.
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import type { Random } from '../support/random.js'
import { answerThat } from './answers.js'
import { NOTICED_MS, type Rules } from './oracle.js'
import type { Script } from './scripted-gateway.js'
import { ENDPOINTS, encoded, spelled, type Stage } from './stage.js'
import { seenBy } from './standalone-stream.js'
import { type Claim, ExpectedOwner, Person, token } from './whose.js'

/** The client was there from the first to the second span, without a break. */
interface Presence {
  /** Sent, and answered. */
  from: [number, number]
  to: [number, number]
  /** 0: a call that was refused in the end, which may have kept the client while it was under way, but begins no visit. */
  requests: 0 | 1
}
const CLOCK_MS = 3

export class ExpectedVisitor {
  readonly presences: Presence[] = []
  /** Streams that are open now. */
  listening = 0
  /** Nobody knows whether one of its requests was accepted. */
  unclear = false

  constructor(
    readonly endpointId: string,
    readonly userAgent: string,
    readonly clientName: string | null,
    /** What it says in each request. */
    readonly claim: Claim
  ) {}

  /** What is wrong with its rows; undefined: nothing, or the breaks were too close to the idle timeout to tell. */
  problem(
    rows: readonly ConnectionRow[],
    { idleMs, principals }: Pick<Rules, 'idleMs' | 'principals'>,
    now: number
  ): string | undefined {
    for (const row of rows) {
      const owner = new ExpectedOwner()
      owner.note(this.claim, true)
      const problem = row.principal_kind === 'key' ? undefined : owner.problem(row, principals)
      if (problem !== undefined || row.conversation !== (this.claim.conversation ?? null))
        return problem ?? `in the conversation ${row.conversation}`
    }
    if (this.unclear) return undefined
    const visits: Presence[][] = []
    let last: [number, number] = [-Infinity, -Infinity]
    for (const presence of this.presences.toSorted((a, b) => a.from[0] - b.from[0])) {
      if (presence.requests === 0) {
        if (visits.length === 0 || presence.from[0] > last[1] + (idleMs || Infinity)) continue
        visits.at(-1)!.push(presence)
        last[1] = Math.max(last[1], presence.to[1])
        continue
      }
      const joined = idleMs === 0 || presence.from[1] < last[0] + idleMs - CLOCK_MS
      const apart = presence.from[0] > last[1] + idleMs + CLOCK_MS
      if (visits.length > 0 && !joined && !apart) return undefined
      if (visits.length === 0 || !joined) visits.push([])
      visits.at(-1)!.push(presence)
      last = [Math.max(last[0], presence.to[0]), Math.max(last[1], presence.to[1])]
    }
    const sorted = rows.toSorted((a, b) => a.connect_at.localeCompare(b.connect_at))
    if (sorted.length !== visits.length) return `${sorted.length} visits, not ${visits.length}`
    for (const [i, visit] of visits.entries()) {
      const problem = this.#visitProblem(sorted[i]!, visit, i === visits.length - 1, idleMs, now)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  #visitProblem(
    row: ConnectionRow,
    visit: Presence[],
    isLast: boolean,
    idleMs: number,
    now: number
  ): string | undefined {
    const [connectAt, endAt, seenAt] = [row.connect_at, row.disconnect_at, row.last_seen_at].map(at =>
      Date.parse(at)
    ) as [number, number, number]
    const seen = [
      Math.max(...visit.map(({ to }) => to[0])),
      Math.max(...visit.map(({ to }) => to[1]))
    ] as const
    const first = visit[0]!
    const requests = visit.reduce((sum, presence) => sum + presence.requests, 0)
    const isOpen = row.reason === null
    const mayBeOpen = isLast && (idleMs === 0 || this.listening > 0 || now <= seen[1] + idleMs + NOTICED_MS)
    const mayBeClosed = !isLast || (idleMs > 0 && this.listening === 0 && now >= seen[0] + idleMs)
    const off = (at: number, [from, to]: readonly [number, number]): boolean =>
      at < from - CLOCK_MS || at > to + CLOCK_MS
    if (row.client_name !== this.clientName) return `client_name ${row.client_name}, not ${this.clientName}`
    if (off(connectAt, first.from))
      return `connect_at is not ${first.from.map(at => new Date(at).toISOString()).join('-')}`
    if (row.request_count !== requests) return `request_count is not ${requests}`
    if (isOpen && !mayBeOpen) return 'open, but idle'
    if (!isOpen && !mayBeClosed) return 'closed, but not idle'
    if (!(isLast && this.listening > 0) && off(seenAt, seen))
      return `last_seen_at is not ${seen.map(at => new Date(at).toISOString()).join('-')}`
    if (!isOpen && (row.reason !== 'idle' || off(endAt, [seen[0] + idleMs, seen[1] + idleMs])))
      return 'not idle from its last use on'
    return undefined
  }
}

/** One client, of protocol 2026-07-28 or of a gateway in stateless mode. */
export class Visitor {
  readonly #expected: ExpectedVisitor
  readonly #headers: Record<string, string>
  readonly #claim: Claim
  readonly #params: object

  constructor(
    readonly stage: Stage,
    readonly random: Random
  ) {
    const agent = stage.name('Visitor')
    const modern = random.chance(0.6)
    const clientInfo = { name: `访客 ${agent}`, version: '2' }
    this.#params = modern ? { _meta: { 'io.modelcontextprotocol/clientInfo': clientInfo } } : {}
    this.#headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'user-agent': agent,
      'x-forwarded-for': `192.0.2.${random.int(1, 254)}`,
      'mcp-protocol-version': modern ? '2026-07-28' : '2025-06-18',
      ...(random.chance(0.3) ? { authorization: `Bearer ${agent}` } : {})
    }
    this.#claim = this.#headers['authorization'] === undefined ? new Person(random).claim().claim : {}
    if (this.#claim.principal !== undefined)
      Object.assign(this.#headers, token(random, this.#claim.principal))
    if (this.#claim.conversation !== undefined)
      this.#headers['mcp-client-session-id'] = this.#claim.conversation
    this.#expected = new ExpectedVisitor(
      random.pick(ENDPOINTS),
      agent,
      modern ? clientInfo.name : null,
      this.#claim
    )
    stage.visitors.push(this.#expected)
  }

  async live(): Promise<void> {
    const { stage, random } = this
    const { idleMs } = stage.setup
    for (let left = random.int(1, 25); left > 0; left--) {
      if (
        !(await stage.turn(
          idleMs > 0 && random.chance(0.1) ? idleMs + random.int(-1_500, 2_500) : random.int(10, 600)
        ))
      )
        return
      if (random.chance(0.1)) await this.#listen()
      else await this.#call()
    }
  }

  #send(method: string, script: Script, path = `/stream/${encoded(this.#expected.endpointId)}`) {
    const { principal } = this.#claim
    // Without principals, another token is another client.
    if (this.stage.setup.principals !== 'off' && principal !== undefined)
      Object.assign(this.#headers, token(this.random, principal))
    const headers = { ...this.#headers, 'mcp-method': method }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: this.#params })
    return this.stage.send(
      this.random,
      { method: 'POST', path: spelled(this.random, path, 'stream'), headers, body },
      script
    )
  }

  async #call(): Promise<void> {
    const { random } = this
    const meaning = random.chance(0.85) ? 'use' : random.pick(['refused', 'suspect', 'gone'] as const)
    const script = answerThat(random, meaning)
    if (random.chance(0.1)) script.delayMs = random.int(100, 2_500)
    const { exchange, scripted } = this.#send('tools/call', script)
    await exchange.end
    const { sentAt, headAt, endAt } = exchange
    if (scripted.receivedAt === 0) return
    const isAccepted = script.status < 300 && headAt > 0 && scripted.answeredAt > 0
    const isUnclear = script.status < 300 && headAt === 0
    if (isUnclear) this.#expected.unclear = true
    else if (isAccepted)
      this.#expected.presences.push({ from: [sentAt, headAt], to: [scripted.answeredAt, endAt], requests: 1 })
    else this.#expected.presences.push({ from: [sentAt, endAt], to: [-Infinity, endAt], requests: 0 })
  }

  async #listen(): Promise<void> {
    const { random } = this
    const script = {
      status: 200,
      headers: { 'content-type': 'text/event-stream' },
      body: ': here\n\n',
      stream: true
    }
    const { exchange, scripted } = this.#send('subscriptions/listen', script)
    await exchange.head
    if (exchange.headAt === 0 || scripted.answeredAt === 0) return
    const begun: Presence = {
      from: [exchange.sentAt, exchange.headAt],
      to: [scripted.answeredAt, Infinity],
      requests: 1
    }
    this.#expected.presences.push(begun)
    this.#expected.listening++
    const ms = random.chance(0.3) ? random.int(2_000, 8_000) : random.int(10, 2_000)
    let leftAt = 0
    const ended = exchange.end.then(async () => {
      await seenBy(() => scripted.closedAt > 0)
      begun.to = [leftAt || scripted.finishedAt, Math.max(scripted.closedAt, exchange.endAt)]
      this.#expected.listening--
    })
    await this.stage.turn(ms)
    if (random.chance(0.5)) scripted.finish()
    else if (exchange.endAt === 0) {
      leftAt = Date.now()
      exchange.leave()
    }
    await ended
  }
}
