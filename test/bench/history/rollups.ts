// Owns the roll-ups of a bulk load: the ledger's own arithmetic, summed up in flat arrays (a map of 15 M buckets is too big).
import type { SessionRecord } from '../../../src/ledger/model/merge.js'
import { type Bucket, floorTo, RollupDelta } from '../../../src/ledger/model/rollup.js'
import { DAY_MS, MINUTE_MS } from '../../../src/util/time.js'

/** Rows whose changes are collected before they go into the arrays. */
const COLLECTED_ROWS = 20_000

export interface BucketRow extends Bucket {
  startAt: number
  endpointId: string
}

/** All buckets of one length, by start and endpoint. */
class Buckets {
  readonly #endpointIds: readonly string[]
  readonly #firstAt: number
  readonly #lengthMs: number
  readonly #opened: Int32Array
  readonly #closed: Int32Array
  readonly #netAtStart: Int32Array

  constructor(endpointIds: readonly string[], startAt: number, endAt: number, lengthMs: number) {
    this.#endpointIds = endpointIds
    this.#firstAt = floorTo(startAt, lengthMs)
    this.#lengthMs = lengthMs
    const cells = ((floorTo(endAt, lengthMs) - this.#firstAt) / lengthMs + 1) * endpointIds.length
    this.#opened = new Int32Array(cells)
    this.#closed = new Int32Array(cells)
    this.#netAtStart = new Int32Array(cells)
  }

  add(endpoint: number, startAt: number, { opened, closed, netAtStart }: Bucket): void {
    const cell = ((startAt - this.#firstAt) / this.#lengthMs) * this.#endpointIds.length + endpoint
    this.#opened[cell]! += opened
    this.#closed[cell]! += closed
    this.#netAtStart[cell]! += netAtStart
  }

  *rows(): Generator<BucketRow> {
    const endpoints = this.#endpointIds.length
    for (let cell = 0; cell < this.#opened.length; cell++) {
      const opened = this.#opened[cell]!
      const closed = this.#closed[cell]!
      if (opened === 0 && closed === 0) continue
      const startAt = this.#firstAt + Math.floor(cell / endpoints) * this.#lengthMs
      const endpointId = this.#endpointIds[cell % endpoints]!
      yield { startAt, endpointId, opened, closed, netAtStart: this.#netAtStart[cell]! }
    }
  }
}

export class Rollups {
  readonly #index: ReadonlyMap<string, number>
  readonly #minutes: Buckets
  readonly #days: Buckets
  readonly #connectNums: Int32Array
  readonly #openedNums: Int32Array
  #delta = new RollupDelta()
  #collected = 0

  /** `endpointIds`: sorted, so that rows come in the order of the tables' keys. */
  constructor(endpointIds: readonly string[], startAt: number, endAt: number) {
    this.#index = new Map(endpointIds.map((id, i) => [id, i]))
    this.#minutes = new Buckets(endpointIds, startAt, endAt, MINUTE_MS)
    this.#days = new Buckets(endpointIds, startAt, endAt, DAY_MS)
    this.#connectNums = new Int32Array(endpointIds.length)
    this.#openedNums = new Int32Array(endpointIds.length)
  }

  add(record: SessionRecord): void {
    this.#delta.change(undefined, record)
    if (++this.#collected === COLLECTED_ROWS) this.#settle()
  }

  minutes(): Iterable<BucketRow> {
    this.#settle()
    return this.#minutes.rows()
  }

  days(): Iterable<BucketRow> {
    this.#settle()
    return this.#days.rows()
  }

  counts(): { endpointId: string; connectNum: number; openedNum: number }[] {
    this.#settle()
    return Array.from(this.#index, ([endpointId, i]) => ({
      endpointId,
      connectNum: this.#connectNums[i]!,
      openedNum: this.#openedNums[i]!
    }))
  }

  #settle(): void {
    for (const [endpointId, { connectNum, openedNum, minutes, days }] of this.#delta.endpoints) {
      const endpoint = this.#index.get(endpointId)!
      this.#connectNums[endpoint]! += connectNum
      this.#openedNums[endpoint]! += openedNum
      for (const [startAt, bucket] of minutes) this.#minutes.add(endpoint, startAt, bucket)
      for (const [startAt, bucket] of days) this.#days.add(endpoint, startAt, bucket)
    }
    this.#delta = new RollupDelta()
    this.#collected = 0
  }
}
