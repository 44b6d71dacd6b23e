// Owns what an observation does to its session: one table, by what was seen and by what this process knows of the session.
import type { FinalReason } from './events.js'
import type { SessionNews } from './observations.js'
import type { TrackedSession } from './session.js'
import type { Signal } from './signals.js'

/** `held`: its legacy stream runs through this process, so only that stream's end ends it. */
type State = 'unknown' | 'open' | 'held'
/** What is known of a session, by what this process remembers of it. */
export const stateOf = (session: TrackedSession | undefined): State =>
  session === undefined ? 'unknown' : session.isHeld ? 'held' : 'open'

/** What is seen of a session. */
export type Input = Exclude<Signal, 'visit'> | SessionNews['kind'] | 'stream-opened' | 'stream-ended'
/**
 * What is done with the session of an observation.
 * - `open`: it is remembered and reported as open.
 * - `resume`: it is remembered, and reported as used, not as proved: whoever saw it open reported that.
 * - `hold`: it is remembered as held, and reported as open.
 * - `count`: it is in use by one more request, which the next flushes report.
 * - `touch`: it is in use, but not by a request of its client.
 * - `report`: it is reported as used at once, and not remembered. Nothing begins with it, but the store may know the session, as
 *   another proxy may.
 * - `sustain`: the same, but it takes no `gone` back.
 * - `suspect`: it may be gone, and waits among the suspects.
 * - `close`: it is forgotten and reported as closed.
 * - `ignore`: nothing.
 */
type Action =
  'open' | 'resume' | 'hold' | 'count' | 'touch' | 'report' | 'sustain' | 'suspect' | 'close' | 'ignore'

/** What each input does to a session in each state. */
export const actions: Readonly<Record<Input, Readonly<Record<State, Action>>>> = {
  open: { unknown: 'open', open: 'count', held: 'count' },
  use: { unknown: 'open', open: 'count', held: 'count' },
  // Of a revision without sessions: an old server takes that for use of the session, a new one does not look at the id.
  claim: { unknown: 'ignore', open: 'count', held: 'count' },
  // The request for its stream was accepted, so it was reported before.
  'server-message': { unknown: 'resume', open: 'touch', held: 'touch' },
  // The upstream has the request, and takes the session for used if it knows it; no response says whether it does.
  unanswered: { unknown: 'ignore', open: 'touch', held: 'ignore' },
  // The request may not be accepted yet, and never be.
  present: { unknown: 'sustain', open: 'touch', held: 'ignore' },
  // An unknown one may be in use through another proxy.
  'upstream-ended': { unknown: 'suspect', open: 'suspect', held: 'ignore' },
  // A ping is activity for the upstream, so it is for the ledger, but it is no request of the client.
  living: { unknown: 'report', open: 'touch', held: 'ignore' },
  'stream-opened': { unknown: 'hold', open: 'hold', held: 'ignore' },
  'stream-ended': { unknown: 'ignore', open: 'ignore', held: 'close' },
  // A session not seen before may be one that another proxy, or this one before a restart, saw open.
  delete: { unknown: 'close', open: 'close', held: 'ignore' },
  gone: { unknown: 'close', open: 'close', held: 'ignore' },
  doubt: { unknown: 'suspect', open: 'suspect', held: 'ignore' },
  none: { unknown: 'ignore', open: 'ignore', held: 'ignore' }
}

/** Inputs that show that the upstream knows the session; other uses take no `gone` back. */
export const proofs: ReadonlySet<Input> = new Set(['open', 'use', 'living', 'stream-opened'])

/** The reason of an input that ends its session. */
export const finalReasons: Readonly<Partial<Record<Input, FinalReason>>> = {
  delete: 'delete',
  gone: 'gone',
  'stream-ended': 'stream_end'
}

/** Whether nothing was heard of the upstream: then a suspect stays one. */
export const isSilent = (input: Input): boolean => input === 'unanswered' || input === 'present'
