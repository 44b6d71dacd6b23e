// Owns what the documentation says of sessions: from facts on the wire to the rows that there may be. Nothing here is from `src/`.
//
// A fact has the time between two moments of which this process knows. Where the order of two facts is open, or where the
// documentation leaves room, there are several worlds, and the row must be that of one of them.
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import { ExpectedOwner } from './whose.js'

export type What =
  /** An accepted request of the session. */
  | 'use'
  /** A message of the server: a use, which takes no `gone` back. */
  | 'message'
  /** A request that was refused for a reason that says nothing of the session; it may have moved the last use. */
  | 'refused'
  /** A request of whose answer nobody knows whether the proxy saw it, or whether it is one. */
  | 'unknown'
  /** The gateway has a request whose client left before the answer. */
  | 'left'
  /** The gateway said that it does not know the session. */
  | 'gone'
  /** Something that makes the session suspect: the proxy must ask. */
  | 'suspect'
  /** A suspicion that something else took back, such as an outage of the gateway. */
  | 'unsuspect'
  /** The gateway accepted a ping of the proxy, or said what proves nothing. */
  | 'ping-accepted'
  | 'ping-unclear'
  | 'delete'
  | 'stream_end'
  | 'killed'
  /** A call or a stream that keeps the session begins, and ends. */
  | 'present'
  | 'absent'
  /** The same end, of a call that was refused: it may have kept the session. */
  | 'rejected'

export interface Fact {
  what: What
  /** Epoch ms; it happened between them. */
  from: number
  to: number
  /** `suspect`: how long the proxy may take to ask. */
  withinMs?: number
}

interface World {
  state: 'none' | 'open' | 'closed'
  connect: Span
  lastUse: Span
  end: Span
  reason: string
  present: number
  /** Ends after the one that counts: they may count if that one is taken back. */
  laterEnds: readonly { reason: 'gone' | 'delete' | 'killed'; at: Span }[]
  /** The proxy must have asked by then. */
  askedBy: number
}
type Span = readonly [from: number, to: number]

/** All clocks are one; but milliseconds are rounded, and the proxy takes its time while it reads. */
const CLOCK_MS = 3
/** An idle end is in the store within this time, and counts by presence are told within it. */
export const NOTICED_MS = 3_500
/** The documentation has 0.4 to 0.8 s; a busy machine takes longer. */
const ASKED_MS = 4_000
/** The proxy looks now and then what is under way. */
const LASTED_MS = 110
const PERMUTED_AT_MOST = 5
/** Of each kind, the first ones: what ended a session is not ended again. */
const LATER_ENDS = 4
const never: Span = [0, 0]

export interface Rules {
  /** 0: sessions do not idle. */
  idleMs: number
  /** The proxies ask about suspects. */
  confirms: boolean
  principals: 'plain' | 'hashed' | 'off'
}

/** One session, from the first request that names it or may open it. */
export class ExpectedSession {
  readonly facts: Fact[] = []
  readonly owner = new ExpectedOwner()
  /** Requests that surely count, and all that may. */
  fewestRequests = 0
  mostRequests = 0
  clientName: string | null | undefined
  /** For whoever reads a problem. */
  note = ''
  /** undefined: an id made by the proxy. */
  sessionId: string | undefined

  constructor(
    readonly endpointId: string,
    sessionId: string | undefined,
    readonly transport: 1 | 2,
    /** Of the request that opened it; each session has its own. undefined: it is not compared. */
    readonly userAgent: string | undefined
  ) {
    this.sessionId = sessionId
  }

  add(what: What, from: number, to: number, withinMs?: number): void {
    this.facts.push({ what, from, to, ...(withinMs === undefined ? {} : { withinMs }) })
  }

  /** What is wrong with its row at `now`; undefined: nothing. */
  problem(row: ConnectionRow | undefined, rules: Rules, now: number): string | undefined {
    const worlds = this.worlds(rules, now)
    if (worlds === undefined) return undefined
    const problems = worlds.map(world => problemIn(world, row, now))
    if (problems.every(problem => problem !== undefined)) {
      return `${[...new Set(problems)].join('; or ')} (${worlds.map(describe).join(' | ')})`
    }
    if (!row) return undefined
    const { request_count: count } = row
    if (count < this.fewestRequests || count > this.mostRequests)
      return `request_count ${count}, not ${this.fewestRequests} to ${this.mostRequests}`
    if (this.clientName !== undefined && row.client_name !== this.clientName)
      return `client_name ${row.client_name}, not ${this.clientName}`
    if (this.userAgent !== undefined && row.user_agent !== this.userAgent)
      return `user_agent ${row.user_agent}, not ${this.userAgent}`
    return this.owner.problem(row, rules.principals)
  }

  /** undefined: too much happened at once to tell. */
  worlds(rules: Rules, now: number): World[] | undefined {
    let worlds: World[] = [
      {
        state: 'none',
        connect: never,
        lastUse: never,
        end: never,
        reason: '',
        present: 0,
        laterEnds: [],
        askedBy: Infinity
      }
    ]
    for (const group of simultaneous(this.facts)) {
      if (group.length > PERMUTED_AT_MOST && !group.every(({ what }) => what === 'use' || what === 'message'))
        return undefined
      const orders = group.every(({ what }) => what === 'use' || what === 'message')
        ? [group]
        : permutations(group)
      worlds = distinct(
        orders.flatMap(order =>
          order.reduce((before, fact) => distinct(before.flatMap(world => step(world, fact, rules))), worlds)
        )
      )
    }
    return distinct(worlds.flatMap(world => idled(world, now, now, rules, NOTICED_MS)))
  }
}

/** What a fact makes of a session. */
function step(before: World, fact: Fact, rules: Rules): World[] {
  const at: Span = [fact.from, fact.to]
  return idled(before, fact.from, fact.to, rules, CLOCK_MS).flatMap(world => {
    const final = ['delete', 'stream_end', 'killed'].includes(world.reason)
    const heard = { ...world, askedBy: Infinity }
    const used: World = { ...heard, lastUse: later(world.lastUse, at) }
    const end = (reason: 'gone' | 'delete' | 'stream_end' | 'killed'): World[] => {
      if (world.state === 'open') return [{ ...heard, state: 'closed', reason, end: at }]
      if (world.state === 'none' || final || reason === 'stream_end') return [heard]
      const sameEnds = world.laterEnds.filter(later => later.reason === reason)
      return [
        sameEnds.length < LATER_ENDS ? { ...heard, laterEnds: [...world.laterEnds, { reason, at }] } : heard
      ]
    }
    switch (fact.what) {
      case 'use':
        if (world.state === 'none') return [{ ...used, state: 'open', connect: at }]
        return final ? [heard] : reopened(used, true)
      case 'message':
        if (world.reason === 'gone') return [{ ...heard, lastUse: [world.lastUse[0], at[1]] }]
        return world.state === 'none' || final ? [heard] : reopened(used, false)
      case 'refused':
        return [{ ...heard, lastUse: [world.lastUse[0], Math.max(world.lastUse[1], at[1])] }]
      case 'unknown':
        return ['use', 'refused'].flatMap(what => step(before, { ...fact, what: what as What }, rules))
      case 'left':
        if (world.state === 'none' || final) return [heard]
        // Whether the proxy had read the whole request when its client left is not known here.
        return world.state === 'open' ? [used, heard] : [heard, ...reopened(used, false)]
      case 'gone':
        return end('gone')
      case 'suspect':
        if (!rules.confirms || world.state !== 'open') return end('gone')
        return [{ ...world, askedBy: Math.min(world.askedBy, fact.to + (fact.withinMs ?? ASKED_MS)) }]
      case 'unsuspect':
      case 'ping-unclear':
        return [heard]
      case 'ping-accepted':
        // A ping that was on its way when another proxy heard of the end: the documentation leaves both open.
        if (world.state === 'open') return [used]
        return world.state === 'none' || final ? [heard] : [heard, ...reopened(used, true)]
      case 'delete':
        return end('delete')
      case 'stream_end':
      case 'killed':
        return end(fact.what)
      case 'present': {
        // A call keeps a session while nobody knows yet that it will be refused; one that idled may be seen again.
        const begun = { ...world, present: world.present + 1 }
        return world.reason === 'idle' ? [begun, ...reopened(begun, false)] : [begun]
      }
      case 'absent': {
        const left = { ...world, present: world.present - 1 }
        const to: Span = [at[0] - LASTED_MS, at[1]]
        return [world.state === 'open' ? { ...left, lastUse: later(world.lastUse, to) } : left]
      }
      case 'rejected':
        return [
          {
            ...world,
            present: world.present - 1,
            lastUse: [world.lastUse[0], Math.max(world.lastUse[1], at[1])]
          }
        ]
    }
  })
}

/** Open again as if it had never been closed, or closed by what ended it after that. Only a proof takes a `gone` back. */
function reopened(world: World, isProof: boolean): World[] {
  const open: World = { ...world, state: 'open', reason: '', end: never, laterEnds: [] }
  const ends = world.laterEnds.filter(({ reason }) => reason !== 'gone' || !isProof)
  return [open, ...ends.map(({ reason, at }): World => ({ ...open, state: 'closed', reason, end: at }))]
}

/** Whether a session idled by the time of a fact: one that did ends when it had been idle for so long, whoever tells when. */
function idled(world: World, from: number, to: number, { idleMs }: Rules, slackMs: number): World[] {
  if (idleMs === 0 || world.state !== 'open' || world.present > 0) return [world]
  const end: Span = [world.lastUse[0] + idleMs, world.lastUse[1] + idleMs]
  const closed: World = { ...world, state: 'closed', reason: 'idle', end, askedBy: Infinity }
  if (to < end[0] - CLOCK_MS) return [world]
  return from > end[1] + slackMs ? [closed] : [world, closed]
}

function problemIn(world: World, row: ConnectionRow | undefined, now: number): string | undefined {
  if (world.askedBy < now) return `the proxy did not ask by ${iso(world.askedBy)}`
  if (world.state === 'none') return row ? 'a row of what never was' : undefined
  if (!row) return 'no row'
  const [connectAt, disconnectAt] = [Date.parse(row.connect_at), Date.parse(row.disconnect_at)]
  if (!within(connectAt, world.connect)) return `connect_at is not ${show(world.connect)}`
  if (world.state === 'open') {
    if (row.reason !== null) return 'closed, but open'
    if (disconnectAt !== connectAt) return 'open, with a disconnect_at'
    if (world.present === 0 && !within(Date.parse(row.last_seen_at), world.lastUse))
      return `last_seen_at is not ${show(world.lastUse)}`
    return undefined
  }
  if (row.reason !== world.reason) return `reason is not ${world.reason}`
  if (!within(disconnectAt, world.end)) return `disconnect_at is not ${show(world.end)}`
  return disconnectAt <= connectAt ? 'ended before it began' : undefined
}

const within = (at: number, [from, to]: Span): boolean => at >= from - CLOCK_MS && at <= to + CLOCK_MS
const later = (a: Span, b: Span): Span => [Math.max(a[0], b[0]), Math.max(a[1], b[1])]
const iso = (at: number): string =>
  Number.isFinite(at) ? new Date(at).toISOString().slice(11, 23) : String(at)
const show = ([from, to]: Span): string => `${iso(from)}-${iso(to)}`

function describe({ state, reason, connect, lastUse, end, present }: World): string {
  const parts = [state, reason, `connect ${show(connect)}`, `use ${show(lastUse)}`]
  if (end !== never) parts.push(`end ${show(end)}`)
  return [...parts, present > 0 ? `${present} present` : ''].filter(part => part !== '').join(', ')
}

/** Facts in order, those together whose order is open. */
function simultaneous(facts: readonly Fact[]): Fact[][] {
  const groups: Fact[][] = []
  let until = -Infinity
  for (const fact of facts.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (fact.from <= until) groups.at(-1)!.push(fact)
    else groups.push([fact])
    until = Math.max(until, fact.to + CLOCK_MS)
  }
  return groups
}

/** Each order of the facts that their times allow. */
function permutations(facts: readonly Fact[]): Fact[][] {
  if (facts.length <= 1) return [[...facts]]
  return facts.flatMap((first, i) => {
    const others = facts.filter((_, j) => j !== i)
    if (others.some(({ to }) => to + CLOCK_MS < first.from)) return []
    return permutations(others).map(rest => [first, ...rest])
  })
}

function distinct(worlds: readonly World[]): World[] {
  return [...new Map(worlds.map(world => [JSON.stringify(world), world])).values()]
}
