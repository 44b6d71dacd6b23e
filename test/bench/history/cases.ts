// Owns the queries that are measured, each with random endpoints and windows.
import { floorTo } from '../../../src/ledger/model/rollup.js'
import type { SessionsQuery, SeriesQuery, Store } from '../../../src/ledger/store-port.js'
import { Transport } from '../../../src/mcp/transports.js'
import { DAY_MS, MINUTE_MS } from '../../../src/util/time.js'
import type { Random } from '../../support/random.js'

const HOUR_MS = 60 * MINUTE_MS
const PAGE_ROWS = 100
/** The share of endpoints taken for busy; of 1,000 they have a quarter of the sessions. */
const BUSY_SHARE = 0.01

export interface Subject {
  store: Store
  random: Random
  /** The history's first and last instant. */
  startAt: number
  endAt: number
  /** Sorted by how busy they are, busiest first. */
  endpointIds: readonly string[]
  /** Those with the most open sessions. */
  principals: readonly string[]
}

export interface Case {
  name: string
  goalMs: number
  /** Answers how many rows or points came. */
  run: (subject: Subject) => Promise<number>
}

const anyEndpoint = ({ random, endpointIds }: Subject): string => random.pick(endpointIds)

const busyEndpoint = ({ random, endpointIds }: Subject): string =>
  random.pick(endpointIds.slice(0, Math.ceil(endpointIds.length * BUSY_SHARE)))

const anyTransport = ({ random }: Subject): Transport => random.pick(Object.values(Transport))

function anyHour({ random, startAt, endAt }: Subject): { start: number; end: number } {
  const start = random.int(startAt, endAt - HOUR_MS)
  return { start, end: start + HOUR_MS }
}

const anyPrincipal = ({ random, principals }: Subject): string => random.pick(principals)

/** The minutes of `lengthMs` from some minute in `[from, to]` on. */
function minutes(
  { random }: Subject,
  from: number,
  to: number,
  lengthMs: number
): { start: number; end: number } {
  const start = floorTo(random.int(from, to), MINUTE_MS)
  return { start, end: start + lengthMs - MINUTE_MS }
}

const page = async ({ store }: Subject, query: Omit<SessionsQuery, 'limit'>): Promise<number> =>
  (await store.connections({ ...query, limit: PAGE_ROWS })).length

async function points({ store }: Subject, query: SeriesQuery): Promise<number> {
  let count = 0
  for await (const chunk of store.series(query)) count += chunk.length
  return count
}

export const cases: readonly Case[] = [
  {
    name: 'connections of one endpoint in an hour, first page',
    goalMs: 20,
    run: s => page(s, { endpointId: anyEndpoint(s), ...anyHour(s) })
  },
  {
    name: 'connections of a busy endpoint in an hour, first page',
    goalMs: 20,
    run: s => page(s, { endpointId: busyEndpoint(s), ...anyHour(s) })
  },
  {
    name: 'connections of all endpoints in an hour, first page',
    goalMs: 20,
    run: s => page(s, anyHour(s))
  },
  {
    name: 'connections of one endpoint in 30 days, first page',
    goalMs: 20,
    run: s => page(s, { endpointId: anyEndpoint(s), start: s.startAt, end: s.endAt })
  },
  {
    name: 'open connections of one endpoint, first page',
    goalMs: 20,
    run: s => page(s, { endpointId: anyEndpoint(s), open: true, start: s.endAt, end: s.endAt })
  },
  {
    name: 'count of one endpoint',
    goalMs: 5,
    run: async s => (await s.store.counts({ endpointId: anyEndpoint(s) })).length
  },
  {
    name: 'count of all',
    goalMs: 5,
    run: async s => (await s.store.counts({})).length
  },
  {
    name: 'count of one endpoint and transport',
    goalMs: 5,
    run: async s => (await s.store.counts({ endpointId: anyEndpoint(s), transport: anyTransport(s) })).length
  },
  {
    name: 'count of all of one transport',
    goalMs: 5,
    run: async s => (await s.store.counts({ transport: anyTransport(s) })).length
  },
  {
    name: 'minutes of one endpoint over 24 h, with peak',
    goalMs: 20,
    run: s =>
      points(s, {
        endpointId: anyEndpoint(s),
        ...minutes(s, s.startAt, s.endAt - DAY_MS, DAY_MS),
        peak: true
      })
  },
  {
    name: 'minutes of a busy endpoint over 24 h, with peak',
    goalMs: 20,
    run: s =>
      points(s, {
        endpointId: busyEndpoint(s),
        ...minutes(s, s.startAt, s.endAt - DAY_MS, DAY_MS),
        peak: true
      })
  },
  {
    name: 'minutes of one endpoint over 30 days',
    goalMs: 250,
    run: s =>
      points(s, { endpointId: anyEndpoint(s), ...minutes(s, s.startAt, s.startAt, 30 * DAY_MS), peak: false })
  },
  {
    name: 'minutes of a busy endpoint over 30 days',
    goalMs: 250,
    run: s =>
      points(s, {
        endpointId: busyEndpoint(s),
        ...minutes(s, s.startAt, s.startAt, 30 * DAY_MS),
        peak: false
      })
  },
  {
    name: 'minutes of all endpoints over 1 h, 29 days ago, with peak',
    goalMs: 250,
    run: s => {
      const dayAfter = s.startAt + 1.5 * DAY_MS
      return points(s, { ...minutes(s, dayAfter - DAY_MS, dayAfter, HOUR_MS), peak: true })
    }
  },
  {
    name: 'minutes of all endpoints over the last hour, with peak',
    goalMs: 250,
    run: s => points(s, { ...minutes(s, s.endAt - HOUR_MS, s.endAt - HOUR_MS, HOUR_MS), peak: true })
  },
  {
    name: 'principals of all endpoints, first page',
    goalMs: 50,
    run: async s => (await s.store.principals({ limit: PAGE_ROWS })).length
  },
  {
    name: 'principals of a busy endpoint, first page',
    goalMs: 50,
    run: async s => (await s.store.principals({ endpointId: busyEndpoint(s), limit: PAGE_ROWS })).length
  },
  {
    name: 'principals and conversations open on all endpoints',
    goalMs: 10,
    run: async s => (await s.store.openCounts({})).principalNum
  },
  {
    name: 'principals and conversations open on a busy endpoint',
    goalMs: 10,
    run: async s => (await s.store.openCounts({ endpointId: busyEndpoint(s) })).principalNum
  },
  {
    name: 'counts of one principal',
    goalMs: 10,
    run: async s => (await s.store.openCounts({ principal: anyPrincipal(s) })).openNum
  },
  {
    name: 'connections of one principal in 30 days, first page',
    goalMs: 20,
    run: s => page(s, { principal: anyPrincipal(s), start: s.startAt, end: s.endAt })
  },
  {
    name: 'a round of idle closing that ends none',
    goalMs: 20,
    run: async s => (await s.store.closeIdle(s.endAt)).length
  }
]
