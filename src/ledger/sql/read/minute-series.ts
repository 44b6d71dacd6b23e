// Owns the minute series: read from the roll-ups (the peaks from the sessions) on one snapshot, then yielded in chunks.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { DAY_MS, type EpochMs, MINUTE_MS } from '../../../util/time.js'
import { classReachMs, closedClasses, floorTo, OPEN_CLASS } from '../../model/rollup.js'
import type { SeriesPoint, SeriesQuery } from '../../store-port.js'
import { type Fragment, joined } from '../fragments.js'
import type { Database, Dialect, Param, Row, Sql } from '../sql-database.js'
import { horizonOf } from '../write/retention.js'

/** Points in one chunk; chosen so that whoever turns a chunk into JSON holds its event loop for a few milliseconds. */
const CHUNK_POINTS = 1_000
/** Later than every roll-up, and within what DATETIME can hold. */
const FOREVER = Date.UTC(9999, 0, 1)
/** Rows read and turned into numbers at a time; chosen so that one result never holds the event loop for long. */
const SLICE_ROWS = 10_000
/** Opens and closes read at a time. Chosen: more than rows, because each such query also passes sessions of other times. */
const SLICE_EVENTS = 40_000

/** What one snapshot holds of one endpoint: its level just before the range, and the minutes in which it changed. */
interface EndpointSeries {
  /** Sessions open just before `start`. */
  level: number
  /** By the instant at which they start. */
  minutes: Map<EpochMs, Minute>
  /** The instant of each open, and the negative instant of each close, in no order. Empty where no peak is wanted. */
  events: number[]
}

interface Minute {
  opened: number
  closed: number
  netAtStart: number
}

const UNCHANGED: Minute = { opened: 0, closed: 0, netAtStart: 0 }

/** `StoreReader.series`. */
export async function* series(db: Database, query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
  const { endpoints, peaks } = await db.read(async sql => {
    // Where rows of that time may be deleted, nobody knows the peak.
    const peaks = query.peak && (await horizonOf(sql, 'rows')) <= query.start
    return { endpoints: await load(sql, { ...query, peak: peaks }), peaks }
  })
  let chunk: SeriesPoint[] = []
  for (const [endpointId, { level: before, minutes, events }] of endpoints) {
    let level = before
    const highest = highestLevels(events)
    for (let time = query.start; time <= query.end; time += MINUTE_MS) {
      const { opened, closed, netAtStart } = minutes.get(time) ?? UNCHANGED
      const connectNum = level + netAtStart
      const peak = peaks ? Math.max(connectNum, highest(level, time + MINUTE_MS)) : null
      chunk.push({ time, endpointId, connectNum, opened, closed, peak })
      level += opened - closed
      if (chunk.length === CHUNK_POINTS) {
        yield chunk
        chunk = []
      }
    }
  }
  if (chunk.length > 0) yield chunk
}

async function load(sql: Sql, query: SeriesQuery): Promise<Map<StoredId, EndpointSeries>> {
  const { dialect } = sql
  const end = query.end + MINUTE_MS
  const endpoints = new Map<StoredId, EndpointSeries>()
  const find = (row: Row): EndpointSeries => endpoints.get(query.endpointId ?? (row.endpoint_id as StoredId))!
  const add = (endpointId: StoredId, level: number) =>
    endpoints.set(endpointId, { level, minutes: new Map(), events: [] })
  const addNet = async (sign: 1 | -1, table: string, from: EpochMs, before: EpochMs): Promise<void> => {
    const { text, params } = net(dialect, table, query.endpointId, from, before)
    for (const row of await sql.all(text, params)) find(row).level += sign * Number(row.net)
  }

  if (query.endpointId !== undefined) add(query.endpointId, 0)
  const counts = of(query.endpointId)
  for (const row of await sql.all(
    `SELECT endpoint_id, connect_num FROM endpoint_connections_v2 WHERE ${counts.text} ORDER BY endpoint_id`,
    counts.params
  )) {
    add(row.endpoint_id as StoredId, Number(row.connect_num))
  }
  // Back from now: by whole days, then by minutes, from whichever end of its day is nearer to the start.
  const day = floorTo(query.start, DAY_MS)
  const fromMorning = query.start - day <= DAY_MS / 2
  const wholeDays = fromMorning ? day : day + DAY_MS
  await addNet(-1, 'endpoint_days_v2', wholeDays, FOREVER)
  if (fromMorning) await addNet(1, 'endpoint_minutes_v2', day, query.start)
  else await addNet(-1, 'endpoint_minutes_v2', query.start, wholeDays)

  const sliceMs = Math.max(1, Math.floor(SLICE_ROWS / endpoints.size)) * MINUTE_MS
  for (let from = query.start; from < end; from += sliceMs) {
    const { text, params } = changes(dialect, query.endpointId, from, Math.min(from + sliceMs, end))
    for (const row of await sql.all(text, params)) {
      find(row).minutes.set(Number(row.ms), {
        opened: Number(row.opened),
        closed: Number(row.closed),
        netAtStart: Number(row.net_at_start)
      })
    }
  }
  if (query.peak) {
    for (const [from, before] of eventSlices(query.start, end, endpoints.values())) {
      const { text, params } = opensAndCloses(dialect, query.endpointId, from, before)
      for (const row of await sql.all(text, params)) find(row).events.push(Number(row.event))
    }
  }
  return endpoints
}

const of = (endpointId: StoredId | undefined): Fragment =>
  endpointId === undefined ? { text: '1 = 1', params: [] } : { text: 'endpoint_id = ?', params: [endpointId] }

const within = ({ time }: Dialect, from: EpochMs, before: EpochMs): Fragment => ({
  text: 'start_at >= ? AND start_at < ?',
  params: [time(from), time(before)]
})

/** Opens less closes within a range, of one endpoint or of each. */
function net(
  dialect: Dialect,
  table: string,
  endpointId: StoredId | undefined,
  from: EpochMs,
  before: EpochMs
): Fragment {
  const range = within(dialect, from, before)
  if (endpointId === undefined) return { text: dialect.netByEndpoint(table), params: range.params }
  const where = joined([of(endpointId), range], ' AND ')
  return {
    text: `SELECT SUM(opened - closed) AS net FROM ${table} WHERE ${where.text}`,
    params: where.params
  }
}

/** The minutes of a range in which something opened or closed. */
function changes(
  dialect: Dialect,
  endpointId: StoredId | undefined,
  from: EpochMs,
  before: EpochMs
): Fragment {
  const where = joined([of(endpointId), within(dialect, from, before)], ' AND ')
  const columns = `${named(endpointId)}${dialect.epochMs('start_at')} AS ms, opened, closed, net_at_start`
  return { text: `SELECT ${columns} FROM endpoint_minutes_v2 WHERE ${where.text}`, params: where.params }
}

const named = (endpointId: StoredId | undefined): string => (endpointId === undefined ? 'endpoint_id, ' : '')

/** Ranges that cover `[start, end)`, each of whole minutes with about `SLICE_EVENTS` opens and closes. */
function* eventSlices(
  start: EpochMs,
  end: EpochMs,
  endpoints: Iterable<EndpointSeries>
): Generator<[from: EpochMs, before: EpochMs]> {
  const eventsOf = new Map<number, number>()
  for (const { minutes } of endpoints) {
    for (const [time, { opened, closed }] of minutes)
      eventsOf.set(time, (eventsOf.get(time) ?? 0) + opened + closed)
  }
  let [from, events] = [start, 0]
  for (const time of [...eventsOf.keys()].sort((a, b) => a - b)) {
    events += eventsOf.get(time)!
    if (events < SLICE_EVENTS) continue
    yield [from, time + MINUTE_MS]
    ;[from, events] = [time + MINUTE_MS, 0]
  }
  if (events > 0) yield [from, end]
}

/** The instants of the opens and closes of a range, of one endpoint or of each; those of closes are negative. */
function opensAndCloses(
  dialect: Dialect,
  endpointId: StoredId | undefined,
  start: EpochMs,
  end: EpochMs
): Fragment {
  const [from, to] = [dialect.time(start), dialect.time(end)]
  const events = (event: string, c: number, text: string, params: readonly Param[]): Fragment => {
    const where = joined(
      [of(endpointId), { text: `duration_class = ? AND ${text}`, params: [c, ...params] }],
      ' AND '
    )
    return {
      text: `SELECT ${named(endpointId)}${event} AS event FROM endpoint_logs_v2 WHERE ${where.text}`,
      params: where.params
    }
  }
  const opens = [OPEN_CLASS, ...closedClasses].map(c =>
    events(dialect.epochMs('connect_at'), c, 'connect_at >= ? AND connect_at < ?', [from, to])
  )
  const closes = closedClasses.map(c =>
    events(
      `-(${dialect.epochMs('disconnect_at')})`,
      c,
      'connect_at > ? AND connect_at < ? AND disconnect_at >= ? AND disconnect_at < ?',
      [dialect.time(start - classReachMs(c)), to, from, to]
    )
  )
  return joined([...opens, ...closes], ' UNION ALL ')
}

/**
 * Returns a function to be called for one minute after the other, with the level just before the minute and the end of
 * the minute. It returns the highest level within that minute (-Infinity where nothing happened); the opens and closes of
 * one instant are taken together.
 */
function highestLevels(events: readonly number[]): (level: number, end: EpochMs) => number {
  // Numbers in the order of time: without a comparison function they are sorted several times as fast.
  const sorted = Float64Array.from(events, event => (event > 0 ? 2 * event + 1 : -2 * event)).sort()
  let i = 0
  return (level, end) => {
    let highest = -Infinity
    while (i < sorted.length && sorted[i]! < 2 * end) {
      const next = 2 * Math.floor(sorted[i]! / 2) + 2
      for (; i < sorted.length && sorted[i]! < next; i++) level += sorted[i]! % 2 === 1 ? 1 : -1
      highest = Math.max(highest, level)
    }
    return highest
  }
}
