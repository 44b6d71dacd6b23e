// Owns the minute series: read from the roll-ups (peaks from the rows) on one snapshot, then told in chunks.
import { classReachMs, closedClasses, DAY_MS, floorTo, MINUTE_MS, OPEN_CLASS } from '../rollup.js'
import type { SeriesPoint, SeriesQuery } from '../store.js'
import type { Database, Dialect, Param, Sql } from './database.js'
import { type Fragment, joined } from './reader.js'

const CHUNK_POINTS = 1_000
/** After every roll-up. SQLite takes a range with two ends for narrow enough to prefer it to an index in GROUP BY order. */
const FOREVER = Date.UTC(9999, 0, 1)

/** What one snapshot says of one endpoint: its level just before the range, and the minutes in which it changed. */
interface EndpointSeries {
  /** Sessions open just before `start`. */
  level: number
  /** By minute start, in epoch ms. */
  minutes: Map<number, { opened: number; closed: number; netAtStart: number }>
  /** By minute start: the most that were open within it, above the level just before it. */
  rises: Map<number, number>
}

export async function* series(db: Database, query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
  const endpoints = await db.read(sql => load(sql, db.dialect, query))
  let chunk: SeriesPoint[] = []
  for (const [endpointId, { level: before, minutes, rises }] of endpoints) {
    let level = before
    for (let time = query.start; time <= query.end; time += MINUTE_MS) {
      const { opened, closed, netAtStart } = minutes.get(time) ?? { opened: 0, closed: 0, netAtStart: 0 }
      const connectNum = level + netAtStart
      const peak = query.peak ? Math.max(connectNum, level + (rises.get(time) ?? 0)) : null
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
  const ofEndpoint: Fragment =
    query.endpointId === undefined
      ? { text: '1 = 1', params: [] }
      : { text: 'endpoint_id = ?', params: [query.endpointId] }
  const endpoints = new Map<string, EndpointSeries>()
  const add = (endpointId: string, level: number) =>
    endpoints.set(endpointId, { level, minutes: new Map(), rises: new Map() })
  if (query.endpointId !== undefined) add(query.endpointId, 0)

  const select = async (columns: string, table: string, conditions: readonly Fragment[], rest = '') => {
    const where = joined([ofEndpoint, ...conditions], ' AND ')
    return await sql.all(
      `SELECT endpoint_id, ${columns} FROM ${table} WHERE ${where.text} ${rest}`,
      where.params
    )
  }
  const between = (from: number, before: number): Fragment => ({
    text: 'start_at >= ? AND start_at < ?',
    params: [dialect.time(from), dialect.time(before)]
  })
  const addNet = async (sign: 1 | -1, table: string, range: Fragment) => {
    for (const row of await select(
      'SUM(opened) - SUM(closed) AS net',
      table,
      [range],
      'GROUP BY endpoint_id'
    )) {
      endpoints.get(row.endpoint_id as string)!.level += sign * Number(row.net)
    }
  }

  for (const row of await select('connect_num', 'endpoint_connections_v2', [], 'ORDER BY endpoint_id')) {
    add(row.endpoint_id as string, Number(row.connect_num))
  }
  // Back from now: by whole days, then by minutes, from whichever end of its day is nearer to the start.
  const day = floorTo(query.start, DAY_MS)
  const fromMorning = query.start - day <= DAY_MS / 2
  const wholeDays = fromMorning ? day : day + DAY_MS
  await addNet(-1, 'endpoint_days_v2', between(wholeDays, FOREVER))
  if (fromMorning) await addNet(1, 'endpoint_minutes_v2', between(day, query.start))
  else await addNet(-1, 'endpoint_minutes_v2', between(query.start, wholeDays))

  const end = query.end + MINUTE_MS
  for (const row of await select('start_at, opened, closed, net_at_start', 'endpoint_minutes_v2', [
    between(query.start, end)
  ])) {
    const bucket = {
      opened: Number(row.opened),
      closed: Number(row.closed),
      netAtStart: Number(row.net_at_start)
    }
    endpoints.get(row.endpoint_id as string)!.minutes.set(row.start_at as number, bucket)
  }
  if (query.peak) {
    const { text, params } = risesWithin(dialect, ofEndpoint, query.start, end)
    for (const row of await sql.all(text, params)) {
      endpoints
        .get(row.endpoint_id as string)!
        .rises.set(Number(row.epoch_minute) * MINUTE_MS, Number(row.rise))
    }
  }
  return endpoints
}

/**
 * For each endpoint and minute with an open or close: the highest level after any instant of it, relative to the
 * level just before the minute. The window's default frame takes all events of an instant together.
 */
function risesWithin(dialect: Dialect, ofEndpoint: Fragment, start: number, end: number): Fragment {
  const from = dialect.time(start)
  const to = dialect.time(end)
  const event = (column: string, step: 1 | -1, conditions: readonly Fragment[]): Fragment => {
    const where = joined([ofEndpoint, ...conditions], ' AND ')
    const columns = `endpoint_id, ${column} AS at, ${dialect.epochMinute(column)} AS epoch_minute, ${step} AS step`
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
  const levels = `SELECT endpoint_id, epoch_minute, SUM(step) OVER (PARTITION BY endpoint_id, epoch_minute ORDER BY at) AS level FROM (${events.text}) AS events`
  return {
    text: `SELECT endpoint_id, epoch_minute, MAX(level) AS rise FROM (${levels}) AS levels GROUP BY endpoint_id, epoch_minute`,
    params: events.params
  }
}
