// Owns the life cycle against an oracle: generated histories through two or three real trackers, the real merge and real suspicion,
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
  'a replica that does not know it answers',
  'a 404 without a word',
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
  /** The last use that each proxy saw since it started, or since it found the session gone. */
  provedTo: number[]
  /** The last acceptance among those, while the proxy knows the session; 0: none. */
  acceptedTo: (number | undefined)[]
  /** Whether the session idled in the proxy, which may have forgotten it then. */
  mayBeForgotten: boolean[]
  /** Who should have asked since the gateway forgot it. */
  suspectedBy: number | undefined
  /** Whether it was found gone, or deleted, since then. */
  isFound: boolean
}

class StreamableWorld implements World<Happening> {
  readonly truth: Record<Id, Truth>
  readonly #proxies: readonly number[]
  readonly #trackers: SessionTracker[]
  readonly #outboxes: SessionEvent[][]
  readonly store = new MergingStore(IDLE_TIMEOUT_MS)
  /** Which proxy a session's standalone stream runs through. */
  readonly #streams = new Map<Id, number>()
  #answers = 0
  pings = 0
  suspicions = 0
  now = START_AT
  latest = START_AT
  clockWentBack = false
  /** With a clock that went back, sessions of which the oracle cannot tell whether a proxy remembers them. */
  readonly #unclear = new Set<Truth>()

  constructor(proxies: number) {
    this.#proxies = Array.from({ length: proxies }, (_, i) => i)
    this.#trackers = this.#proxies.map(() => new SessionTracker({ idleTimeoutMs: IDLE_TIMEOUT_MS }))
    this.#outboxes = this.#proxies.map(() => [])
    this.truth = { a: newTruth(proxies), b: newTruth(proxies) }
  }

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
        this.#used(truth, this.#streams.get(id)!)
        return this.#news('server-message', id, this.#streams.get(id)!)
      case 'its client leaves before the answer':
      case 'a call of it is under way':
        // Only where this proxy knows it to be open for sure.
        if (!truth.living || truth.provedTo[proxy]! + IDLE_TIMEOUT_MS <= this.latest) return
        this.#used(truth, proxy)
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
        return this.#proxies.forEach(each => this.#suspectUnseen(each))
      case 'delete':
        truth.ends.push({ at: this.now, reason: 'delete' })
        Object.assign(truth, { living: false, isFound: true })
        this.#forgotten(truth, proxy)
        return this.#streamable(proxy, { method: 'DELETE', status: 202, sessionId: id })
      case 'delete refused':
        return this.#streamable(proxy, { method: 'DELETE', status: 405, sessionId: id })
      case 'an answer that proves nothing':
        return this.#streamable(proxy, {
          method: 'POST',
          sessionId: id,
          ...answersThatProveNothing[this.#answers++ % answersThatProveNothing.length]!
        })
      case 'a replica that does not know it answers':
        this.#foundGone(truth, proxy)
        return this.#streamable(proxy, { method: 'POST', sessionId: id, ...this.#gone() })
      case 'a 404 without a word':
        this.suspicions++
        if (!truth.living && truth.firstProof !== undefined) this.#suspected(truth, proxy)
        return this.#streamable(proxy, { method: 'POST', status: 404, sessionId: id })
      case 'time':
        return
      case 'proxy restarts':
        this.#flush(proxy)
        this.#trackers[proxy] = new SessionTracker({ idleTimeoutMs: IDLE_TIMEOUT_MS })
        for (const [each, through] of this.#streams) if (through === proxy) this.#streams.delete(each)
        // What it knew and suspected is forgotten with it.
        for (const each of ids) {
          this.#forgotten(this.truth[each], proxy)
          if (this.truth[each].suspectedBy === proxy) this.truth[each].suspectedBy = undefined
        }
        return
      case 'tick':
        return this.#tick(proxy)
      case 'flush':
        return this.#flush(proxy)
      case 'ship':
        return this.#ship(proxy, 1)
      case 'round':
        return this.store.endIdle(this.now)
    }
  }

  settle(): void {
    for (const proxy of this.#proxies) for (let i = 0; i < 3; i++) this.#tick(proxy)
    for (const proxy of this.#proxies) {
      this.#flush(proxy)
      this.#ship(proxy, Infinity)
    }
    this.store.endIdle(this.latest)
  }

  check(): void {
    checkSessions(this.truth, this.store, this.clockWentBack, (truth, record) => {
      if (this.#unclear.has(truth)) return record.reason === null ? undefined : record.disconnectAt
      const { reason, at } = ending(truth, this.latest)
      deepStrictEqual(record.reason, reason)
      deepStrictEqual(record.disconnectAt, at ?? record.connectAt)
      if (truth.living) ok(reason !== 'delete', 'a living session is never closed for good')
      if (truth.suspectedBy !== undefined)
        ok(truth.isFound, 'a suspicion after the end of a session finds it')
      return truth.ends.length > 0 ? at : undefined
    })
    ok(this.pings <= this.suspicions, 'one ping a suspicion')
  }

  #advance(ms: number): void {
    this.now += ms
    this.latest = Math.max(this.latest, this.now)
    this.clockWentBack ||= ms < 0
  }

  #proved(truth: Truth, requests: number, proxy: number): void {
    prove(truth, this.now, requests)
    truth.provedTo[proxy] = Math.max(truth.provedTo[proxy]!, this.now)
    truth.acceptedTo[proxy] = Math.max(truth.acceptedTo[proxy] ?? 0, this.now)
  }

  /** Used, but not accepted. */
  #used(truth: Truth, proxy: number): void {
    prove(truth, this.now, 0, false)
    truth.provedTo[proxy] = Math.max(truth.provedTo[proxy]!, this.now)
    truth.acceptedTo[proxy] ??= 0
  }

  #suspected(truth: Truth, proxy: number): void {
    truth.suspectedBy = proxy
    truth.isFound = false
  }

  #forgotten(truth: Truth, proxy: number): void {
    truth.provedTo[proxy] = -Infinity
    truth.acceptedTo[proxy] = undefined
    truth.mayBeForgotten[proxy] = false
  }

  /** What a proxy finds after an acceptance that it remembers is also later by its time. */
  #foundGone(truth: Truth, proxy: number): void {
    const acceptedTo = truth.acceptedTo[proxy] ?? -Infinity
    if (this.now <= acceptedTo && truth.mayBeForgotten[proxy]) this.#unclear.add(truth)
    truth.ends.push({ at: Math.max(this.now, acceptedTo + 1), reason: 'gone' })
    truth.isFound = true
    this.#forgotten(truth, proxy)
  }

  #request(proxy: number, id: Id, method: string): void {
    const truth = this.truth[id]
    if (truth.living) {
      this.#proved(truth, 1, proxy)
      return this.#streamable(proxy, { method, status: 200, sessionId: id })
    }
    this.#foundGone(truth, proxy)
    this.#streamable(proxy, { method, sessionId: id, acceptsStream: true, ...this.#gone() })
  }

  /** A gateway that does not know the session says so in one of several ways. */
  #gone(): { status: number; sessionNotFound: true } {
    return { status: [404, 401, 400, 200][this.#answers++ % 4]!, sessionNotFound: true }
  }

  #endStream(id: Id): void {
    if (!this.#streams.has(id)) return
    this.suspicions++
    if (!this.truth[id].living) this.#suspected(this.truth[id], this.#streams.get(id)!)
    this.#news('upstream-ended', id, this.#streams.get(id)!)
    this.#streams.delete(id)
  }

  /** As `SuspectChecker` does it, once a sample is gone. */
  #suspectUnseen(proxy: number): void {
    this.#flush(proxy)
    this.#ship(proxy, Infinity)
    for (const [id, record] of this.store.records) {
      if (record.reason !== null || record.seenBy !== String(proxy)) continue
      this.#trackers[proxy]!.suspects.add({ endpointId: 'e', sessionId: id })
      this.suspicions++
      this.#suspected(this.truth[id as Id], proxy)
    }
  }

  #tick(proxy: number): void {
    const tracker = this.#trackers[proxy]!
    tracker.suspects.tick()
    for (let suspect = tracker.suspects.next(); suspect; suspect = tracker.suspects.next()) {
      const truth = this.truth[suspect.sessionId as Id]
      this.pings++
      if (!truth.living) this.#foundGone(truth, proxy)
      // One that it does not know it leaves to others (`#ship`).
      else if (truth.acceptedTo[proxy] !== undefined) {
        const provedTo = truth.provedTo[proxy]
        this.#proved(truth, 0, proxy)
        // A proxy that forgot a session remembers nothing because of a ping.
        if (truth.mayBeForgotten[proxy]) truth.provedTo[proxy] = provedTo!
      }
      const answer = truth.living ? { status: 200, sessionNotFound: false } : this.#gone()
      this.#observe(proxy, { kind: 'ping-response', ...suspect, ...answer, at: this.now })
    }
  }

  #flush(proxy: number): void {
    for (const { provedTo, mayBeForgotten } of Object.values(this.truth))
      mayBeForgotten[proxy] ||= provedTo[proxy]! + IDLE_TIMEOUT_MS <= this.now
    this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.flush(this.now))
  }

  #streamable(
    proxy: number,
    answer: {
      method: string
      status: number
      sessionId?: Id
      issuedSessionId?: Id
      protocolVersion?: string
      acceptsStream?: boolean
      methodNotFound?: boolean
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

  #news(kind: SessionNews['kind'], id: Id, proxy: number): void {
    const client = { address: '192.0.2.1', userAgent: 'agent' }
    this.#observe(proxy, { kind, endpointId: 'e', sessionId: id, client, at: this.now })
  }

  #observe(proxy: number, observation: Observation): void {
    this.#outboxes[proxy]!.push(...this.#trackers[proxy]!.observe(observation))
  }

  #ship(proxy: number, events: number): void {
    for (const event of this.#outboxes[proxy]!.splice(0, events)) {
      const isPing = event.type === 'use' && event.ofKnown === true && event.provedAt === undefined
      if (isPing && this.store.records.has(event.sessionId))
        prove(this.truth[event.sessionId as Id], event.at, 0)
      this.store.apply(event, { id: String(proxy), boot: 1 })
    }
  }
}

const answersThatProveNothing = [
  { status: 401 },
  { status: 400 },
  { status: 404, protocolVersion: '2026-07-28' },
  { status: 404, methodNotFound: true }
]

const newTruth = (proxies: number): Truth => ({
  ...noFacts(),
  ends: [],
  living: false,
  provedTo: Array<number>(proxies).fill(-Infinity),
  acceptedTo: Array<undefined>(proxies).fill(undefined),
  mayBeForgotten: Array<boolean>(proxies).fill(false),
  suspectedBy: undefined,
  isFound: false
})

/** The oracle: how a session ended, from what happened to it. */
function ending(
  { proofs, acceptedAt, ends }: Truth,
  now: number
): { reason: string | null; at: number | undefined } {
  const idleAt = Math.max(...proofs) + IDLE_TIMEOUT_MS
  const [end] = ends
    .filter(({ at, reason }) => reason === 'delete' || at > acceptedAt)
    .sort((a, b) => a.at - b.at || a.reason.localeCompare(b.reason))
  if (end && end.at <= idleAt) return end
  return end || idleAt <= now ? { reason: 'idle', at: idleAt } : { reason: null, at: undefined }
}

void t.test('histories end as the oracle says', { timeout: 240_000 }, t => {
  checkHistories(
    t,
    happenings,
    gapsMs,
    ['delete', 'gone', 'idle', null],
    proxies => new StreamableWorld(proxies)
  )
  t.end()
})
