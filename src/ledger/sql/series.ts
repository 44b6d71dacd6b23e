// Owns the minute series: read from the roll-ups (peaks from the rows) on one snapshot, then told in chunks.
import { classReachMs, closedClasses, DAY_MS, floorTo, MINUTE_MS, OPEN_CLASS } from '../rollup.js'
import type { SeriesPoint, SeriesQuery } from '../store.js'
import type { Database, Dialect, Param, Row, Sql } from './database.js'
import { type Fragment, joined } from './reader.js'
import { rowsFrom } from './retention.js'

const CHUNK_POINTS = 1_000
/** After every roll-up. */
const FOREVER = Date.UTC(9999, 0, 1)
/** Rows that are read and turned into numbers at a time, so that no answer holds the event loop for long. */
const SLICE_ROWS = 10_000

/** What one snapshot says of one endpoint: its level just before the range, and the minutes in which it changed. */
interface EndpointSeries {
  /** Sessions open just before `start`. */
  level: number
  /** By minutes since 1970. */
  minutes: Map<number, Minute>
  /** By minutes since 1970: the most that were open within it, above the level just before it. */
  rises: Map<number, number>
}

interface Minute {
  opened: number
  closed: number
  netAtStart: number
}

const UNCHANGED: Minute = { opened: 0, closed: 0, netAtStart: 0 }

export async function* series(db: Database, query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
  const { endpoints, peaks } = await db.read(async sql => {
    // Of a time whose rows may be deleted, no peak can be told.
    const peaks = query.peak && (await rowsFrom(sql)) <= query.start
    return { endpoints: await load(sql, db.dialect, { ...query, peak: peaks }), peaks }
  })
  let chunk: SeriesPoint[] = []
  for (const [endpointId, { level: before, minutes, rises }] of endpoints) {
    let level = before
    for (let time = query.start; time <= query.end; time += MINUTE_MS) {
      const { opened, closed, netAtStart } = minutes.get(time / MINUTE_MS) ?? UNCHANGED
      const connectNum = level + netAtStart
      const peak = peaks ? Math.max(connectNum, level + (rises.get(time / MINUTE_MS) ?? 0)) : null
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

async function load(sql: Sql, dialect: Dialect, query: SeriesQuery): Promise<Map<string, EndpointSeries>> {
  const end = query.end + MINUTE_MS
  const endpoints = new Map<string, EndpointSeries>()
  const find = (row: Row): EndpointSeries => endpoints.get(query.endpointId ?? (row.endpoint_id as string))!
  const add = (endpointId: string, level: number) =>
    endpoints.set(endpointId, { level, minutes: new Map(), rises: new Map() })
  const addNet = async (sign: 1 | -1, table: string, from: number, before: number): Promise<void> => {
    const { text, params } = net(dialect, table, query.endpointId, from, before)
    for (const row of await sql.all(text, params)) find(row).level += sign * Number(row.net)
  }

  if (query.endpointId !== undefined) add(query.endpointId, 0)
  const counts = of(query.endpointId)
  for (const row of await sql.all(
    `SELECT endpoint_id, connect_num FROM endpoint_connections_v2 WHERE ${counts.text} ORDER BY endpoint_id`,
    counts.params
  )) {
    add(row.endpoint_id as string, Number(row.connect_num))
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
      find(row).minutes.set(Number(row.epoch_minute), {
        opened: Number(row.opened),
        closed: Number(row.closed),
        netAtStart: Number(row.net_at_start)
      })
    }
  }
  if (query.peak) {
    const { text, params } = rises(dialect, query.endpointId, query.start, end)
    for (const row of await sql.all(text, params))
      find(row).rises.set(Number(row.epoch_minute), Number(row.rise))
  }
  return endpoints
}

const of = (endpointId: string | undefined): Fragment =>
  endpointId === undefined ? { text: '1 = 1', params: [] } : { text: 'endpoint_id = ?', params: [endpointId] }

const within = ({ time }: Dialect, from: number, before: number): Fragment => ({
  text: 'start_at >= ? AND start_at < ?',
  params: [time(from), time(before)]
})

/** Opens less closes within a range, of one endpoint or of each. */
function net(
  dialect: Dialect,
  table: string,
  endpointId: string | undefined,
  from: number,
  before: number
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
function changes(dialect: Dialect, endpointId: string | undefined, from: number, before: number): Fragment {
  const where = joined([of(endpointId), within(dialect, from, before)], ' AND ')
  const columns = `${named(endpointId)}${dialect.epochMinute('start_at')} AS epoch_minute, opened, closed, net_at_start`
  return { text: `SELECT ${columns} FROM endpoint_minutes_v2 WHERE ${where.text}`, params: where.params }
}

/** Rows of one endpoint do not name it: that halves the time which MariaDB takes to sort events. */
const named = (endpointId: string | undefined): string => (endpointId === undefined ? 'endpoint_id, ' : '')

/**
 * For each minute with an open or close, of one endpoint or of each: the highest level after any instant of it, relative
 * to the level just before the minute. The window's frame takes all events of an instant together; it is
 * the default one, but Dolt forgets that default where two columns partition.
 */
function rises(dialect: Dialect, endpointId: string | undefined, start: number, end: number): Fragment {
  const from = dialect.time(start)
  const to = dialect.time(end)
  const event = (column: string, step: 1 | -1, conditions: readonly Fragment[]): Fragment => {
    const where = joined([of(endpointId), ...conditions], ' AND ')
    const columns = `${named(endpointId)}${column} AS at, ${dialect.epochMinute(column)} AS epoch_minute, ${step} AS step`
    return { text: `SELECT ${columns} FROM endpoint_logs_v2 WHERE ${where.text}`, params: where.params }
  }
  const ofClass = (c: number, text: string, params: readonly Param[]): Fragment => ({
    text: `duration_class = ? AND ${text}`,
    params: [c, ...params]
  })
  const opens = [OPEN_CLASS, ...closedClasses].map(c =>
    event('connect_at', 1, [ofClass(c, 'connect_at >= ? AND connect_at < ?', [from, to])])
  )
  const closes = closedClasses.map(c =>
    event('disconnect_at', -1, [
      ofClass(c, 'connect_at > ? AND connect_at < ?', [dialect.time(start - classReachMs(c)), to]),
      { text: 'disconnect_at >= ? AND disconnect_at < ?', params: [from, to] }
    ])
  )
  const events = joined([...opens, ...closes], ' UNION ALL ')
  const key = `${named(endpointId)}epoch_minute`
  const levels = `SELECT ${key}, SUM(step) OVER (PARTITION BY ${key} ORDER BY at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level FROM (${events.text}) AS events`
  return {
    text: `SELECT ${key}, MAX(level) AS rise FROM (${levels}) AS levels GROUP BY ${key}`,
    params: events.params
  }
}
