// Owns the life cycle of legacy HTTP+SSE sessions against an oracle: generated histories of streams through two or three proxies
// that restart and fall silent, and of messages through either; told to the store in any order.
import { deepStrictEqual, ok } from 'node:assert'
import t from 'tap'
import type { LedgerEvent } from '../../src/sessions/events.js'
import type { LegacyStream, MessageResponse } from '../../src/sessions/observations.js'
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

const START_AT = 10_000

type ProxyIndex = number

const happenings = [
  'the stream opens',
  'its stream opens past the proxies',
  'message',
  'message',
  'the service behind it ends',
  'the gateway forgets it',
  'the stream ends',
  'time',
  'proxy restarts',
  'proxy is taken for lost',
  'heartbeat',
  'flush',
  'ship'
] as const

type Happening = (typeof happenings)[number]

const gapsMs = [0, 1, 1, 1, 20, 900, -1, -50]

/** What the oracle keeps: facts, each with its time. */
interface Truth extends Facts {
  ends: { at: number; reason: 'stream_end' }[]
  /** Of the gateway: whether it answers messages, answers that the service ended, or knows nothing. */
  gateway: 'living' | 'service ended' | 'unknown'
  /** Which proxy its stream runs through. */
  heldBy: ProxyIndex | undefined
  /** When a proxy that held its stream restarted, or was taken for lost; the first time. */
  lostAt: number | undefined
  /** Whether a proxy saw its stream. */
  isSeen: boolean
  /** Whether its stream runs past the proxies: then its messages are nothing. */
  isPast: boolean
}

interface Proxy {
  tracker: SessionTracker
  boot: number
  outbox: { event: LedgerEvent; boot: number }[]
}

class LegacyWorld implements World<Happening> {
  readonly truth: Record<Id, Truth> = { a: newTruth(), b: newTruth() }
  readonly #proxies: readonly Proxy[]
  readonly store = new MergingStore(0)
  now = START_AT
  clockWentBack = false

  constructor(proxies: number) {
    this.#proxies = Array.from({ length: proxies }, newProxy)
  }

  do({ happening, proxy, id, ms }: Step<Happening>): void {
    this.now += ms
    this.clockWentBack ||= ms < 0
    const truth = this.truth[id]
    switch (happening) {
      case 'the stream opens':
        if (truth.firstProof !== undefined || truth.isPast) return
        Object.assign(truth, { gateway: 'living', heldBy: proxy, isSeen: true })
        prove(truth, this.now, 1)
        return this.#observe(proxy, { kind: 'legacy-opened', ...this.#of(id) })
      case 'its stream opens past the proxies':
        if (truth.firstProof === undefined) Object.assign(truth, { gateway: 'living', isPast: true })
        return
      case 'message':
        return this.#message(proxy, id)
      case 'the service behind it ends':
        if (truth.gateway === 'living') truth.gateway = 'service ended'
        return
      case 'the gateway forgets it':
        truth.gateway = 'unknown'
        return
      case 'the stream ends': {
        const { heldBy } = truth
        if (heldBy === undefined) return
        truth.ends.push({ at: this.now, reason: 'stream_end' })
        Object.assign(truth, { gateway: 'unknown', heldBy: undefined })
        return this.#observe(heldBy, { kind: 'legacy-ended', ...this.#of(id) })
      }
      case 'time':
        return
      case 'proxy restarts':
        return this.#restart(proxy)
      case 'proxy is taken for lost':
        this.#lose(proxy)
        return this.store.endHeldBy(String(proxy), this.now)
      case 'heartbeat':
        return this.#heartbeat(proxy)
      case 'flush':
        this.#place(proxy)
        return this.#tell(proxy, this.#proxies[proxy]!.tracker.flush(this.now))
      case 'ship':
        return this.#ship(proxy, 1)
    }
  }

  settle(): void {
    for (const proxy of this.#proxies.keys()) {
      this.#heartbeat(proxy)
      this.#ship(proxy, Infinity)
    }
    for (const proxy of this.#proxies.keys()) {
      this.#place(proxy)
      this.#tell(proxy, this.#proxies[proxy]!.tracker.flush(this.now))
      this.#ship(proxy, Infinity)
    }
  }

  check(): void {
    checkSessions(this.truth, this.store, this.clockWentBack, ({ ends: [end], heldBy }, record) => {
      if (end) {
        deepStrictEqual([record.reason, record.disconnectAt], [end.reason, end.at])
      } else if (heldBy !== undefined) {
        deepStrictEqual([record.reason, record.disconnectAt], [null, record.connectAt], 'it is open')
      } else {
        deepStrictEqual(record.reason, 'lost')
        ok(record.disconnectAt >= record.lastSeenAt && record.disconnectAt > record.connectAt)
      }
      return end?.at
    })
  }

  #message(proxy: ProxyIndex, id: Id): void {
    const truth = this.truth[id]
    const status = { living: 202, 'service ended': 410, unknown: 404 }[truth.gateway]
    if (status === 202 && truth.isSeen) prove(truth, this.now, 1)
    this.#observe(proxy, { kind: 'message', status, ...this.#of(id) })
  }

  /** Its streams break with it; messages through it were told. */
  #restart(index: ProxyIndex): void {
    const proxy = this.#proxies[index]!
    // It waits until the store knows the sessions of its messages.
    if (proxy.tracker.unplaced.size > 0) for (const each of this.#proxies.keys()) this.#ship(each, Infinity)
    this.#place(index)
    this.#tell(index, proxy.tracker.flush(this.now))
    proxy.tracker = new SessionTracker({ idleTimeoutMs: 0 })
    proxy.boot++
    this.#tell(index, [{ type: 'restart', at: this.now }])
    for (const id of this.#lose(index))
      Object.assign(this.truth[id], { gateway: 'unknown', heldBy: undefined })
  }

  #lose(proxy: ProxyIndex): Id[] {
    const lost = ids.filter(id => this.truth[id].heldBy === proxy)
    for (const id of lost) this.truth[id].lostAt ??= this.now
    return lost
  }

  #heartbeat(proxy: ProxyIndex): void {
    for (const id of ids) if (this.truth[id].heldBy === proxy) prove(this.truth[id], this.now, 0)
    this.#tell(proxy, this.#proxies[proxy]!.tracker.held(this.now))
  }

  /** The store tells where messages belong. */
  #place(index: ProxyIndex): void {
    const { tracker } = this.#proxies[index]!
    const due = tracker.unplaced.due(Infinity)
    const known = due.flatMap(id => {
      const record = this.store.records.get(id)
      return record
        ? [{ endpointId: 'e', sessionId: id, isOpen: record.reason === null, upstream: null }]
        : []
    })
    const found = known.map(({ sessionId }) => sessionId)
    this.#tell(index, tracker.place(found, known, this.now))
  }

  #of(id: Id): Pick<LegacyStream, 'endpointId' | 'sessionId' | 'client' | 'at'> {
    const client = { address: '192.0.2.1', userAgent: 'agent' }
    return { endpointId: 'e', sessionId: id, client, at: this.now }
  }

  #observe(proxy: ProxyIndex, observation: LegacyStream | MessageResponse): void {
    this.#tell(proxy, this.#proxies[proxy]!.tracker.observe(observation))
  }

  #tell(index: ProxyIndex, events: readonly LedgerEvent[]): void {
    const { outbox, boot } = this.#proxies[index]!
    outbox.push(...events.map(event => ({ event, boot })))
  }

  #ship(index: ProxyIndex, events: number): void {
    for (const { event, boot } of this.#proxies[index]!.outbox.splice(0, events))
      this.store.apply(event, { id: String(index), boot })
  }
}

const newTruth = (): Truth => ({
  ...noFacts(),
  ends: [],
  gateway: 'unknown',
  heldBy: undefined,
  lostAt: undefined,
  isSeen: false,
  isPast: false
})

const newProxy = (): Proxy => ({ tracker: new SessionTracker({ idleTimeoutMs: 0 }), boot: 1, outbox: [] })

void t.test('histories end as the oracle says', { timeout: 240_000 }, t => {
  checkHistories(t, happenings, gapsMs, ['stream_end', 'lost', null], proxies => new LegacyWorld(proxies))
  t.end()
})
