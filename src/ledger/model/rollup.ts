// Owns the arithmetic of counts and roll-ups (pure): how the change of one session row changes them.
import type { StoredId } from '../../mcp/stored-ids.js'
import { DAY_MS, type EpochMs, MINUTE_MS } from '../../util/time.js'
import type { SessionRecord } from './merge.js'

/** What happened within one minute or day, `[start, start + length)`. */
export interface Bucket {
  opened: number
  closed: number
  /** Opens less closes at the very first millisecond: `connect_num` at `start` includes them. */
  netAtStart: number
}

/** What a transaction adds to one endpoint's count and roll-ups. */
export interface EndpointDelta {
  connectNum: number
  /** Sessions that the endpoint did not have before, open or closed. */
  openedNum: number
  /** Open sessions of which a conversation is known, and the different conversations of those. */
  groupedNum: number
  conversationNum: number
  /** By the instant at which the minute or day (UTC) starts. */
  minutes: Map<EpochMs, Bucket>
  days: Map<EpochMs, Bucket>
}

type Span = Pick<SessionRecord, 'endpointId' | 'connectAt' | 'disconnectAt' | 'reason' | 'conversation'>

/** Sums the differences between rows before and after a transaction, by endpoint. */
export class RollupDelta {
  /** What is summed so far, by endpoint. */
  readonly endpoints = new Map<StoredId, EndpointDelta>()

  /** Adds the change of one row; `undefined` where there is none before (a new row) or after (a deleted one). */
  change(before: Span | undefined, after: Span | undefined): void {
    if (before) this.#add(before, -1)
    if (after) this.#add(after, 1)
  }

  #add(span: Span, sign: 1 | -1): void {
    const delta = this.endpoint(span.endpointId)
    delta.openedNum += sign
    addTo(delta, span.connectAt, 'opened', sign)
    if (span.reason === null) {
      delta.connectNum += sign
      if (span.conversation !== null) delta.groupedNum += sign
    } else addTo(delta, span.disconnectAt, 'closed', sign)
  }

  /** What is summed so far for one endpoint; may be added to. */
  endpoint(endpointId: StoredId): EndpointDelta {
    let delta = this.endpoints.get(endpointId)
    if (!delta)
      this.endpoints.set(
        endpointId,
        (delta = {
          ...{ connectNum: 0, openedNum: 0, groupedNum: 0, conversationNum: 0 },
          ...{ minutes: new Map(), days: new Map() }
        })
      )
    return delta
  }
}

function addTo(delta: EndpointDelta, at: EpochMs, field: 'opened' | 'closed', sign: 1 | -1): void {
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

/** The bucket that starts at `start`; made, all zeros, if there is none. */
export function bucketAt(buckets: Map<EpochMs, Bucket>, start: EpochMs): Bucket {
  let bucket = buckets.get(start)
  if (!bucket) buckets.set(start, (bucket = { opened: 0, closed: 0, netAtStart: 0 }))
  return bucket
}

/** The start of the minute or day (UTC) that holds `at`: the multiple of `lengthMs` at or before it. */
export const floorTo = (at: EpochMs, lengthMs: number): EpochMs => Math.floor(at / lengthMs) * lengthMs

/**
 * The class of a closed session's duration: floor(log4(ms)); an open one is in `OPEN_CLASS`. Sessions of class c that
 * were connected at instant T began within `classReachMs(c)` before it, so an index on (class, connect_at) finds them
 * without reading the history.
 */
export function durationClass({
  connectAt,
  disconnectAt,
  reason
}: Pick<Span, 'connectAt' | 'disconnectAt' | 'reason'>): number {
  if (reason === null) return OPEN_CLASS
  const ms = disconnectAt - connectAt
  let c = 0
  while (c < LONGEST_CLASS && ms >= classReachMs(c)) c++
  return c
}

/** The duration class of open sessions. */
export const OPEN_CLASS = -1
/** The longest duration class; it reaches to 4^21 ms = 139 years. */
export const LONGEST_CLASS = 20

/** The duration in ms that every session of a class stays below. */
export const classReachMs = (c: number): number => 4 ** (c + 1)

/** The duration classes of closed sessions. */
export const closedClasses: readonly number[] = Array.from({ length: LONGEST_CLASS + 1 }, (_, c) => c)
