// Owns the life cycle against an oracle: generated histories through two real trackers, the real merge and real suspicion,
// told to the store in any order, must end as a few plain sentences about what happened say.
import { deepStrictEqual, ok } from 'node:assert'
import t from 'tap'
import type { SessionEvent } from '../../src/sessions/events.js'
import type { Observation, SessionNews } from '../../src/sessions/observations.js'
import { SessionTracker } from '../../src/sessions/tracker.js'
import {
  checkHistories,
  checkSessions,
  type Facts,
  type Id,
  ids,
  noFacts,
  prove,
  type Step,
  type World
} from './generated.js'
import { MergingStore } from './merging-store.js'

const IDLE_TIMEOUT_MS = 300
const START_AT = 10_000

const happenings = [
  'open',
  'use',
  'stream',
  'message',
  'its client leaves before the answer',
  'a call of it is under way',
  'client leaves its stream',
  'upstream ends the stream',
  'upstream ends the session',
  'upstream restarts',
  'delete',
  'delete refused',
  'an answer that proves nothing',
  'time',
  'proxy restarts',
  'tick',
  'flush',
  'ship',
  'round'
] as const

type Happening = (typeof happenings)[number]

const gapsMs = [0, 1, 1, 1, 20, 20, 120, 299, 300, 301, 900, -1, -50, -400]

/** What the oracle keeps: facts, each with its time. */
interface Truth extends Facts {
  ends: { at: number; reason: 'delete' | 'gone' }[]
  living: boolean
  /** The last proof that each proxy saw since it started. */
  provedTo: [number, number]
  /** Who should have asked since the gateway forgot it. */
  suspectedBy: number | undefined
}

class StreamableWorld implements World<Happening> {
  readonly truth: Record<Id, Truth> = { a: newTruth(), b: newTruth() }
  readonly #trackers = [0, 1].map(() => new SessionTracker({ idleTimeoutMs: IDLE_TIMEOUT_MS }))
  readonly #outboxes: SessionEvent[][] = [[], []]
  readonly store = new MergingStore(IDLE_TIMEOUT_MS)
  /** Which proxy a session's standalone stream runs through. */
  readonly #streams = new Map<Id, 0 | 1>()
  #answers = 0
  pings = 0
  suspicions = 0
  now = START_AT
  latest = START_AT
  clockWentBack = false

  do({ happening, proxy, id, ms }: Step<Happening>): void {
    this.#advance(ms)
    const truth = this.truth[id]
    switch (happening) {
      case 'open':
        if (truth.firstProof !== undefined || truth.ends.length > 0) return
        truth.living = true
        this.#proved(truth, 1, proxy)
        return this.#streamable(proxy, { method: 'POST', status: 200, issuedSessionId: id })
      case 'use':
        return this.#request(proxy, id, 'POST')
      case 'stream':
        this.#request(proxy, id, 'GET')
        if (truth.living) this.#streams.set(id, proxy)
        return
      case 'message':
        if (!truth.living || !this.#streams.has(id)) return
        this.#proved(truth, 0, this.#streams.get(id))
        return this.#news('server-message', id, this.#streams.get(id)!)
      case 'its client leaves before the answer':
      case 'a call of it is under way':
        // Only where this proxy knows it to be open for sure.
        if (!truth.living || truth.provedTo[proxy] + IDLE_TIMEOUT_MS <= this.latest) return
        this.#proved(truth, 0, proxy)
        return this.#news(happening === 'a call of it is under way' ? 'present' : 'unanswered', id, proxy)
      case 'client leaves its stream':
        this.#streams.delete(id)
        return
      case 'upstream ends the stream':
        return this.#endStream(id)
      case 'upstream ends the session':
        truth.living = false
        return this.#endStream(id)
      case 'upstream restarts':
        for (const each of ids) {
          this.truth[each].living = false
          this.#endStream(each)
        }
        return [0, 1].forEach(each => this.#suspectUnseen(each))
      case 'delete':
        truth.ends.push({ at: this.now, reason: 'delete' })
        truth.living = false
        return this.#streamable(proxy, { method: 'DELETE', status: 202, sessionId: id })
      case 'delete refused':
        return this.#streamable(proxy, { method: 'DELETE', status: 405, sessionId: id })
      case 'an answer that proves nothing':
        return this.#streamable(proxy, {
          method: 'POST',
          sessionId: id,
          ...([{ status: 401 }, { status: 400 }, { status: 404, protocolVersion: '2026-07-28' }] as const)[
            this.#answers++ % 3
          ]!
        })
      case 'time':
        return
      case 'proxy restarts':
        this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.flush(this.now))
        this.#trackers[proxy] = new SessionTracker({ idleTimeoutMs: IDLE_TIMEOUT_MS })
        for (const [each, through] of this.#streams) if (through === proxy) this.#streams.delete(each)
        // What it knew and suspected is forgotten with it.
        for (const each of ids) {
          this.truth[each].provedTo[proxy] = -Infinity
          if (this.truth[each].suspectedBy === proxy) this.truth[each].suspectedBy = undefined
        }
        return
      case 'tick':
        return this.#tick(proxy)
      case 'flush':
        this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.flush(this.now))
        return
      case 'ship':
        return this.#ship(proxy, 1)
      case 'round':
        return this.store.endIdle(this.now)
    }
  }

  settle(): void {
    for (const proxy of [0, 1]) for (let i = 0; i < 3; i++) this.#tick(proxy)
    for (const proxy of [0, 1]) {
      this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.flush(this.now))
      this.#ship(proxy, Infinity)
    }
    this.store.endIdle(this.latest)
  }

  check(): void {
    checkSessions(this.truth, this.store, this.clockWentBack, (truth, record) => {
      const { reason, at } = ending(truth, this.latest)
      deepStrictEqual(record.reason, reason)
      deepStrictEqual(record.disconnectAt, at ?? record.connectAt)
      if (truth.living) ok(reason === null || reason === 'idle', 'a living session is never closed for good')
      if (truth.suspectedBy !== undefined)
        ok(reason !== null, 'a suspicion after the end of a session finds it')
      return truth.ends.length > 0 ? at : undefined
    })
    ok(this.pings <= this.suspicions, 'one ping a suspicion')
  }

  #advance(ms: number): void {
    this.now += ms
    this.latest = Math.max(this.latest, this.now)
    this.clockWentBack ||= ms < 0
  }

  #proved(truth: Truth, requests: number, proxy?: 0 | 1): void {
    prove(truth, this.now, requests)
    if (proxy !== undefined) truth.provedTo[proxy] = Math.max(truth.provedTo[proxy], this.now)
  }

  /** A gateway that does not know the session says so in one of two ways. */
  #request(proxy: 0 | 1, id: Id, method: string): void {
    const truth = this.truth[id]
    if (truth.living) {
      this.#proved(truth, 1, proxy)
      return this.#streamable(proxy, { method, status: 200, sessionId: id })
    }
    truth.ends.push({ at: this.now, reason: 'gone' })
    this.#streamable(proxy, { method, sessionId: id, ...this.#gone() })
  }

  #gone(): { status: number; sessionNotFound: boolean } {
    return this.#answers++ % 2 === 0
      ? { status: 404, sessionNotFound: false }
      : { status: 401, sessionNotFound: true }
  }

  #endStream(id: Id): void {
    if (!this.#streams.has(id)) return
    this.suspicions++
    if (!this.truth[id].living) this.truth[id].suspectedBy = this.#streams.get(id)
    this.#news('upstream-ended', id, this.#streams.get(id)!)
    this.#streams.delete(id)
  }

  /** As `Suspicion.upstreamReturned` does it. */
  #suspectUnseen(proxy: number): void {
    this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.flush(this.now))
    this.#ship(proxy, Infinity)
    for (const [id, record] of this.store.records) {
      if (record.reason !== null || record.seenBy !== String(proxy)) continue
      this.#trackers[proxy]!.suspects.add({ endpointId: 'e', sessionId: id })
      this.suspicions++
      this.truth[id as Id].suspectedBy = proxy
    }
  }

  #tick(proxy: number): void {
    const tracker = this.#trackers[proxy]!
    tracker.suspects.tick()
    for (let suspect = tracker.suspects.next(); suspect; suspect = tracker.suspects.next()) {
      const truth = this.truth[suspect.sessionId as Id]
      this.pings++
      if (truth.living) this.#proved(truth, 0)
      else truth.ends.push({ at: this.now, reason: 'gone' })
      const answer = truth.living ? { status: 200, sessionNotFound: false } : this.#gone()
      this.#observe(proxy, { kind: 'ping-response', ...suspect, ...answer, at: this.now })
    }
  }

  #streamable(
    proxy: number,
    answer: {
      method: string
      status: number
      sessionId?: Id
      issuedSessionId?: Id
      protocolVersion?: string
      sessionNotFound?: boolean
    }
  ): void {
    this.#observe(proxy, {
      kind: 'streamable',
      endpointId: 'e',
      sessionId: undefined,
      issuedSessionId: undefined,
      protocolVersion: undefined,
      sessionNotFound: false,
      ...answer,
      client: { address: '192.0.2.1', userAgent: 'agent' },
      at: this.now
    })
  }

  #news(kind: SessionNews['kind'], id: Id, proxy: 0 | 1): void {
    const client = { address: '192.0.2.1', userAgent: 'agent' }
    this.#observe(proxy, { kind, endpointId: 'e', sessionId: id, client, at: this.now })
  }

  #observe(proxy: number, observation: Observation): void {
    this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.observe(observation))
  }

  #ship(proxy: number, events: number): void {
    for (const event of this.#outboxes[proxy]!.splice(0, events))
      this.store.apply(event, { id: String(proxy), boot: 1 })
  }
}

const newTruth = (): Truth => ({
  ...noFacts(),
  ends: [],
  living: false,
  provedTo: [-Infinity, -Infinity],
  suspectedBy: undefined
})

/** The oracle: how a session ended, from what happened to it. */
function ending({ proofs, ends }: Truth, now: number): { reason: string | null; at: number | undefined } {
  const idleAt = Math.max(...proofs) + IDLE_TIMEOUT_MS
  const [end] = [...ends].sort((a, b) => a.at - b.at || a.reason.localeCompare(b.reason))
  if (end && end.at <= idleAt) return end
  return end || idleAt <= now ? { reason: 'idle', at: idleAt } : { reason: null, at: undefined }
}

void t.test('histories end as the oracle says', { timeout: 240_000 }, t => {
  checkHistories(t, happenings, gapsMs, ['delete', 'gone', 'idle', null], () => new StreamableWorld())
  t.end()
})
