// Owns the order of what a webhook gets: the events of an endpoint one after the other, each until the receiver has it; endpoints
// do not wait for each other.
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventPosition, StoredEvent } from '../../ledger/event-port.js'
import type { StoredId } from '../../mcp/stored-ids.js'
import { JobPool } from '../../util/job-pool.js'
import { type MonotonicMs, SECOND_MS } from '../../util/time.js'

/** Requests at once. Chosen: a receiver that takes 100 ms gets 160 events a second. */
const REQUESTS_AT_ONCE = 16
/** Between attempts at one event: twice as long each time, and by chance up to half of it less. Chosen. */
const FIRST_RETRY_MS = SECOND_MS / 2
const LONGEST_RETRY_MS = 60 * SECOND_MS

/** An event, the place before it, and when it was read. */
export interface WaitingEvent {
  before: EventPosition
  event: StoredEvent
  readAt: MonotonicMs
}

/** What happens to an event that is sent. Rejects where it was not accepted, and must be sent again. */
export type Deliver = (waiting: WaitingEvent, attempt: number) => Promise<unknown>

/** Events on their way to one receiver. */
export class WebhookLanes {
  readonly #deliver: Deliver
  readonly #stopped: AbortSignal
  /** In their order, and whether they are delivered. */
  readonly #entries: { event: StoredEvent; isDone: boolean }[] = []
  /** Those of an endpoint that wait for its event under way. */
  readonly #lanes = new Map<StoredId, (() => Promise<void>)[]>()
  readonly #requests: (() => Promise<void>)[] = []
  readonly #pool = new JobPool(
    REQUESTS_AT_ONCE,
    () => this.#requests.shift(),
    send => send()
  )
  readonly #running = new Set<Promise<void>>()
  #onRoom: (() => void) | undefined
  #position: EventPosition | undefined

  constructor(deliver: Deliver, stopped: AbortSignal) {
    this.#deliver = deliver
    this.#stopped = stopped
    stopped.addEventListener('abort', () => this.#onRoom?.())
  }

  /** How many events are not delivered yet, or wait for those before them. */
  get size(): number {
    return this.#entries.length
  }

  /** The first event that is not delivered. */
  get oldest(): StoredEvent | undefined {
    return this.#entries[0]?.event
  }

  /** All events up to here are delivered; undefined where none was. */
  get position(): EventPosition | undefined {
    return this.#position
  }

  /** Takes the next event. */
  add(waiting: WaitingEvent): void {
    const entry = { event: waiting.event, isDone: false }
    this.#entries.push(entry)
    const { endpointId } = waiting.event
    const work = async (): Promise<void> => {
      if (!(await this.#untilDelivered(waiting))) return
      entry.isDone = true
      this.#moveOn()
    }
    const lane = this.#lanes.get(endpointId)
    if (lane) return void lane.push(work)
    this.#lanes.set(endpointId, [work])
    const running = this.#run(endpointId).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves once fewer than `size` events wait, or all stopped. */
  async roomFor(size: number): Promise<void> {
    while (this.#entries.length >= size && !this.#stopped.aborted)
      await new Promise<void>(resolve => (this.#onRoom = resolve))
  }

  /** Resolves once nothing is under way any more, after it was stopped. */
  async ended(): Promise<void> {
    await Promise.all(this.#running)
  }

  async #run(endpointId: StoredId): Promise<void> {
    const lane = this.#lanes.get(endpointId)!
    for (let work = lane[0]; work !== undefined && !this.#stopped.aborted; work = lane[0]) {
      await work()
      lane.shift()
    }
    this.#lanes.delete(endpointId)
  }

  /** False: it was stopped before. */
  async #untilDelivered(waiting: WaitingEvent): Promise<boolean> {
    for (let attempt = 1; !this.#stopped.aborted; attempt++) {
      if (await this.#attempt(waiting, attempt)) return true
      const longest = Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), LONGEST_RETRY_MS)
      const restMs = longest * (1 - Math.random() / 2)
      await sleep(restMs, undefined, { signal: this.#stopped }).catch(() => undefined)
    }
    return false
  }

  #attempt(waiting: WaitingEvent, attempt: number): Promise<boolean> {
    return new Promise(resolve => {
      this.#requests.push(async () => {
        const deliver = this.#stopped.aborted
          ? Promise.reject(new Error('stopped'))
          : this.#deliver(waiting, attempt)
        await deliver.then(
          () => resolve(true),
          () => resolve(false)
        )
      })
      this.#pool.call()
    })
  }

  #moveOn(): void {
    let done = 0
    while (this.#entries[done]?.isDone) done++
    if (done === 0) return
    this.#position = this.#entries[done - 1]!.event.position
    this.#entries.splice(0, done)
    this.#onRoom?.()
  }
}
