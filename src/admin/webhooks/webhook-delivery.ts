// Owns the delivery of all events to a webhook: of the proxies of a store one at a time does it, and each goes on where the one
// before it stopped.
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventPosition, StoredEvent } from '../../ledger/event-port.js'
import type { Store } from '../../ledger/store-port.js'
import { counter, gauge, type Metric } from '../../metrics/metric.js'
import { reasonOf } from '../../util/errors.js'
import { type Log, ThrottledLog } from '../../util/log.js'
import type { Closable } from '../../util/startup.js'
import { latestNow, type MonotonicMs, monotonicNow, SECOND_MS } from '../../util/time.js'
import type { Mask } from '../access/mask.js'
import { toCloudEvent } from '../events/cloud-event.js'
import { EventReader } from '../events/event-reader.js'
import { ExpiredCursorError } from '../schemas/admin-errors.js'
import { WebhookLanes, type WaitingEvent } from './webhook-lanes.js'
import { sendToWebhook, type WebhookTarget } from './webhook-request.js'

/** Nobody else delivers for so long after the holder's last sign of life. Chosen. */
const LEASE_MS = 10 * SECOND_MS
/** How often the holder gives one, and notes how far it has got. Chosen: so much is delivered twice after a crash. */
const RENEW_MS = SECOND_MS
/** How often the others ask whether it is their turn. Chosen. */
const ASK_MS = 2 * SECOND_MS
/** Events that are read ahead, and read at once. Chosen: about a megabyte. */
const MAX_WAITING = 1_000
const EVENTS_AT_ONCE = 200
/** What was read longer ago is read again before it is sent: a name in it may be erased meanwhile. Chosen. */
const FRESH_MS = 2 * SECOND_MS
/** How long an end of the process waits for requests under way. Chosen. */
const CLOSE_MS = 3 * SECOND_MS

/** What the delivery needs. */
export interface WebhookOptions {
  target: WebhookTarget
  store: Pick<Store, 'events' | 'eventsEnd' | 'takeWebhookTurn'>
  /** How long events are kept, in milliseconds; 0: for ever. */
  keptMs: number
  mask: Mask
  log: Log
}

/** Delivers until it is closed. */
export class WebhookDelivery implements Closable {
  readonly #options: WebhookOptions
  readonly #reader: EventReader
  readonly #log: Log
  readonly #webhook: string
  readonly #holder = randomUUID()
  readonly #closing = new AbortController()
  /** Aborts requests under way. */
  readonly #cut = new AbortController()
  readonly #running: Promise<void>
  #lanes: WebhookLanes | undefined
  #delivered = 0
  #failed = 0
  #dropped = 0

  constructor(options: WebhookOptions) {
    const { target, store, keptMs, log } = options
    this.#options = options
    this.#log = new ThrottledLog(log)
    this.#reader = new EventReader(store, keptMs, log)
    this.#webhook = createHash('sha256').update(target.url).digest('base64url')
    this.#running = this.#run()
  }

  /** Of this proxy. */
  metrics(): Metric[] {
    const oldest = this.#lanes?.oldest
    const lagMs = oldest === undefined ? 0 : Math.max(0, latestNow() - oldest.notedAt)
    return [
      gauge(
        'turnstile_webhook_active',
        '1: this proxy delivers events to the webhook now.',
        Number(this.#lanes !== undefined)
      ),
      counter('turnstile_webhook_delivered_total', 'Events that the webhook accepted.', this.#delivered),
      counter('turnstile_webhook_failures_total', 'Attempts that it did not accept.', this.#failed),
      counter(
        'turnstile_webhook_dropped_total',
        'Events given up because they were not kept any more (--event-retention); a gap that was found counts once.',
        this.#dropped
      ),
      gauge(
        'turnstile_webhook_lag_seconds',
        'Age of the oldest event that waits for the webhook.',
        lagMs / SECOND_MS
      )
    ]
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const timer = setTimeout(() => this.#cut.abort(), CLOSE_MS)
    await this.#running
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        const turn = await this.#takeTurn(LEASE_MS)
        if (turn) await this.#deliverFrom(turn.position)
      } catch (error) {
        this.#log.warn({ reason: reasonOf(error) }, 'events for the webhook cannot be read; they wait')
      }
      await sleep(ASK_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  #takeTurn(leaseMs: number, position?: EventPosition) {
    const { store } = this.#options
    const request = { webhook: this.#webhook, holder: this.#holder, leaseMs, ...(position && { position }) }
    return store.takeWebhookTurn(request)
  }

  /** Delivers from a place on, until the turn is over. */
  async #deliverFrom(from: EventPosition | undefined): Promise<void> {
    const over = new AbortController()
    const stopped = AbortSignal.any([over.signal, this.#closing.signal])
    let renewedAt: MonotonicMs = monotonicNow()
    // Another proxy delivers once the lease is over: what has not begun by then must not begin.
    const hasTurn = (): boolean => monotonicNow() - renewedAt < LEASE_MS
    const lanes = new WebhookLanes((waiting, attempt) => this.#deliver(waiting, attempt, hasTurn), stopped)
    this.#lanes = lanes
    const reading = this.#readInto(lanes, from, stopped)
      .catch((error: unknown) =>
        this.#log.warn(
          { reason: reasonOf(error) },
          'the store cannot be read; events for the webhook wait for it'
        )
      )
      .finally(() => over.abort())
    while (!stopped.aborted) {
      const isDue = await sleep(RENEW_MS, true, { signal: stopped }).catch(() => false)
      if (!isDue) break
      const askedAt = monotonicNow()
      const turn = await this.#takeTurn(LEASE_MS, lanes.position).catch(() => 'unknown' as const)
      if (turn === undefined || (turn === 'unknown' && !hasTurn())) break
      if (turn !== 'unknown') renewedAt = askedAt
    }
    over.abort()
    await Promise.all([reading, lanes.ended()])
    this.#lanes = undefined
    await this.#takeTurn(0, lanes.position).catch(() => undefined)
  }

  async #readInto(lanes: WebhookLanes, from: EventPosition | undefined, stopped: AbortSignal): Promise<void> {
    for (let after = from; !stopped.aborted;) {
      await lanes.roomFor(MAX_WAITING)
      const part = await this.#reader
        .read({ limit: EVENTS_AT_ONCE, ...(after && { after }) })
        .catch((error: unknown) => {
          if (error instanceof ExpiredCursorError) return undefined
          throw error
        })
      if (part === undefined) {
        this.#drop()
        after = undefined
        continue
      }
      let before = part.start
      for (const event of part.events) {
        lanes.add({ before, event, readAt: monotonicNow() })
        before = event.position
      }
      after = part.position
      if (!part.more) await this.#reader.changed(part.position, LEASE_MS, stopped)
    }
  }

  /** Rejects where the event must be sent again. */
  async #deliver(waiting: WaitingEvent, attempt: number, hasTurn: () => boolean): Promise<void> {
    const { target, mask } = this.#options
    try {
      const event = await this.#fresh(waiting)
      if (event === undefined) return this.#drop()
      if (!hasTurn()) throw new Error('another proxy may deliver now')
      await sendToWebhook(target, toCloudEvent(event, mask), this.#cut.signal)
      this.#delivered++
    } catch (error) {
      this.#failed++
      const ageMs = latestNow() - waiting.event.notedAt
      this.#log.warn(
        { reason: reasonOf(error), attempt, ageMs },
        'an event did not reach the webhook; it is sent again'
      )
      throw error
    }
  }

  /** The event as it is told now; undefined once it is not kept any more. */
  async #fresh({ before, event, readAt }: WaitingEvent): Promise<StoredEvent | undefined> {
    if (monotonicNow() - readAt < FRESH_MS) return event
    try {
      return (await this.#reader.read({ limit: 1, after: before })).events[0]
    } catch (error) {
      if (error instanceof ExpiredCursorError) return undefined
      throw error
    }
  }

  #drop(): void {
    this.#dropped++
    this.#log.warn(
      {},
      'events that the webhook did not get are not kept any more (--event-retention); it goes on with the next'
    )
  }
}

/** Starts to deliver; neither the store nor the receiver need be reachable. */
export const startWebhookDelivery = (options: WebhookOptions): WebhookDelivery => new WebhookDelivery(options)
