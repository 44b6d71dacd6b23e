// Owns the arithmetic of counts and roll-ups: what the change of one row changes in them.
import { MINUTE_MS, DAY_MS } from '../../util/time.js'
import type { SessionRecord } from './merge.js'

/** Opens and closes within `[start, start + length)` of a minute or day. */
export interface Bucket {
  opened: number
  closed: number
  /** Opens less closes at the very first millisecond: `connect_num` at `start` includes them. */
  netAtStart: number
}

/** What a transaction adds to one endpoint's count and roll-ups. */
export interface EndpointDelta {
  connectNum: number
  /** Sessions that it did not have before, open or closed. */
  openedNum: number
  /** By the epoch ms at which the minute or day starts. */
  minutes: Map<number, Bucket>
  days: Map<number, Bucket>
}

type Span = Pick<SessionRecord, 'endpointId' | 'connectAt' | 'disconnectAt' | 'reason'>

/** Sums the differences between rows before and after a transaction, by endpoint. */
export class RollupDelta {
  readonly endpoints = new Map<string, EndpointDelta>()

  /** Adds the change of one row; `undefined` where there is none before (a new row) or after (a deleted one). */
  change(before: Span | undefined, after: Span | undefined): void {
    if (before) this.#add(before, -1)
    if (after) this.#add(after, 1)
  }

  #add(span: Span, sign: 1 | -1): void {
    const delta = this.endpoint(span.endpointId)
    delta.openedNum += sign
    addTo(delta, span.connectAt, 'opened', sign)
    if (span.reason === null) delta.connectNum += sign
    else addTo(delta, span.disconnectAt, 'closed', sign)
  }

  /** What is summed so far for one endpoint; may be added to. */
  endpoint(endpointId: string): EndpointDelta {
    let delta = this.endpoints.get(endpointId)
    if (!delta)
      this.endpoints.set(
        endpointId,
        (delta = { connectNum: 0, openedNum: 0, minutes: new Map(), days: new Map() })
      )
    return delta
  }
}

function addTo(delta: EndpointDelta, at: number, field: 'opened' | 'closed', sign: 1 | -1): void {
  const net = field === 'opened' ? sign : -sign
  for (const [buckets, lengthMs] of [
    [delta.minutes, MINUTE_MS],
    [delta.days, DAY_MS]
  ] as const) {
    const start = floorTo(at, lengthMs)
    const bucket = bucketAt(buckets, start)
    bucket[field] += sign
    if (at === start) bucket.netAtStart += net
  }
}

export function bucketAt(buckets: Map<number, Bucket>, start: number): Bucket {
  let bucket = buckets.get(start)
  if (!bucket) buckets.set(start, (bucket = { opened: 0, closed: 0, netAtStart: 0 }))
  return bucket
}

/** The start of the minute or day that holds `at`. */
export const floorTo = (at: number, lengthMs: number): number => Math.floor(at / lengthMs) * lengthMs

/**
 * The class of a closed session's duration: floor(log4(ms)); an open one is in `OPEN_CLASS`. Sessions of class c that
 * were connected at instant T began within `classReachMs(c)` before it, so an index on (class, connect_at) finds them
 * without reading the history.
 */
export function durationClass({ connectAt, disconnectAt, reason }: Omit<Span, 'endpointId'>): number {
  if (reason === null) return OPEN_CLASS
  const ms = disconnectAt - connectAt
  let c = 0
  while (c < LONGEST_CLASS && ms >= classReachMs(c)) c++
  return c
}

export const OPEN_CLASS = -1
/** Reaches 4^21 ms = 139 years. */
export const LONGEST_CLASS = 20

/** The duration in ms that every session of a class stays below. */
export const classReachMs = (c: number): number => 4 ** (c + 1)

export const closedClasses: readonly number[] = Array.from({ length: LONGEST_CLASS + 1 }, (_, c) => c)
