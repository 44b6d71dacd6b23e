// Owns the queries over session rows and counts. Their cost grows with the range asked for, not with the history.
import type { StoredId } from '../../../mcp/stored-ids.js'
import { Transport } from '../../../mcp/transports.js'
import type { KnownSession } from '../../../sessions/unplaced-messages.js'
import { classReachMs, closedClasses, OPEN_CLASS } from '../../model/rollup.js'
import type {
  EndpointCount,
  OpenCounts,
  SessionRow,
  SessionsFilter,
  SessionsQuery,
  Totals
} from '../../store-port.js'
import { type Fragment, joined } from '../fragments.js'
import { readRow, ROW_COLUMNS } from '../session-rows.js'
import type { Database, Dialect, Row, Sql } from '../sql-database.js'
import { limitTo, marks, runs } from '../statements.js'
import { readOpenCounts, readTotalsOfPrincipal } from './principals-list.js'
import { narrowing } from './sessions-filter.js'

/** `StoreReader.connections`. */
export async function connections(db: Database, query: SessionsQuery): Promise<SessionRow[]> {
  return await db.read(sql => readPage(sql, query))
}

/** `StoreReader.totals`. */
export async function totals(db: Database, query: SessionsFilter): Promise<Totals> {
  return await db.read(sql => readTotals(sql, query))
}

/** `StoreReader.snapshot`. */
export async function snapshot(
  db: Database,
  query: SessionsQuery
): Promise<{ rows: SessionRow[]; totals: Totals; open: OpenCounts }> {
  const { open: _open, start: _start, end: _end, limit: _limit, after: _after, ...filter } = query
  return await db.read(async sql => ({
    totals: await readTotals(sql, filter),
    open: await readOpenCounts(sql, filter),
    rows: await readPage(sql, query)
  }))
}

/**
 * One page of rows. The newest rows of each duration class are found in the index alone, the newest of those make the
 * page, and only the rows of the page are read from the table.
 */
async function readPage(sql: Sql, query: SessionsQuery): Promise<SessionRow[]> {
  const classes = [
    ...(query.open === false ? [] : [OPEN_CLASS]),
    ...(query.open === true ? [] : closedClasses)
  ]
  const limit = limitTo(query.limit)
  const newestOf = classes.map((c, i): Fragment => {
    const where = joined(connectedIn(sql.dialect, query, c), ' AND ')
    const select = `SELECT id, connect_at FROM endpoint_logs_v2 WHERE ${where.text} ORDER BY connect_at DESC, id DESC ${limit}`
    return { text: `SELECT * FROM (${select}) AS class${i}`, params: where.params }
  })
  const { text, params } = joined(newestOf, ' UNION ALL ')
  const page = `SELECT id AS page_id, connect_at AS page_at FROM (${text}) AS classes ORDER BY page_at DESC, page_id DESC ${limit}`
  const statement = `SELECT ${ROW_COLUMNS} FROM (${page}) AS page JOIN endpoint_logs_v2 ON id = page_id ORDER BY page_at DESC, page_id DESC`
  return (await sql.all(statement, params)).map(readRow)
}

/** Conditions for the sessions of one duration class that the query asks for. */
function connectedIn(dialect: Dialect, query: SessionsQuery, c: number): Fragment[] {
  const { endpointId, start, after, ...filter } = query
  const newest = after ? Math.min(query.end, after.connectAt) : query.end
  const conditions: Fragment[] = [
    { text: 'duration_class = ?', params: [c] },
    { text: 'connect_at <= ?', params: [dialect.time(newest)] }
  ]
  if (endpointId !== undefined) conditions.unshift({ text: 'endpoint_id = ?', params: [endpointId] })
  if (c !== OPEN_CLASS) {
    conditions.push(
      { text: 'connect_at > ?', params: [dialect.time(start - classReachMs(c))] },
      { text: 'disconnect_at > ?', params: [dialect.time(start)] }
    )
  }
  conditions.push(...narrowing(filter))
  if (after) {
    const at = dialect.time(after.connectAt)
    conditions.push({ text: '(connect_at < ? OR (connect_at = ? AND id < ?))', params: [at, at, after.id] })
  }
  return conditions
}

/** `StoreReader.session`. */
export async function session(db: Database, sessionId: StoredId): Promise<SessionRow[]> {
  const statement = `SELECT ${ROW_COLUMNS} FROM endpoint_logs_v2 WHERE session_id = ? ORDER BY id DESC`
  return await db.read(async sql => (await sql.all(statement, [sessionId])).map(readRow))
}

/** `StoreReader.legacySessions`. */
export async function legacySessions(db: Database, sessionIds: readonly StoredId[]): Promise<KnownSession[]> {
  const found = await db.read(async sql => {
    const rows: Row[] = []
    for (const ids of runs(sessionIds)) {
      const statement = `SELECT endpoint_id, session_id, duration_class, upstream FROM endpoint_logs_v2 WHERE session_id IN (${marks(ids.length)}) AND transport_type = ? ORDER BY connect_at DESC, id DESC`
      rows.push(...(await sql.all(statement, [...ids, Transport.sse])))
    }
    return rows
  })
  return found.map(row => ({
    endpointId: row.endpoint_id as StoredId,
    sessionId: row.session_id as StoredId,
    isOpen: row.duration_class === OPEN_CLASS,
    upstream: row.upstream as string | null
  }))
}

/** `StoreReader.counts`. */
export async function counts(
  db: Database,
  { endpointId, ...filter }: SessionsFilter
): Promise<EndpointCount[]> {
  const narrowed = narrowing(filter)
  const ofEndpoint = endpointId === undefined ? [] : [{ text: 'endpoint_id = ?', params: [endpointId] }]
  const countRows = async (sql: Sql, select: string, conditions: readonly Fragment[], end: string) => {
    const where = joined([...ofEndpoint, ...conditions], ' AND ')
    return await sql.all(`${select} WHERE ${where.text} ${end}`, where.params)
  }
  const [endpoints, open] = await db.read(async sql => [
    await countRows(
      sql,
      'SELECT endpoint_id, connect_num FROM endpoint_connections_v2',
      [{ text: '1 = 1', params: [] }],
      'ORDER BY endpoint_id'
    ),
    narrowed.length === 0
      ? undefined
      : await countRows(
          sql,
          'SELECT endpoint_id, COUNT(*) AS connect_num FROM endpoint_logs_v2',
          [{ text: 'duration_class = ?', params: [OPEN_CLASS] }, ...narrowed],
          'GROUP BY endpoint_id'
        )
  ])
  const openOf = new Map((open ?? endpoints).map(row => [row.endpoint_id, Number(row.connect_num)]))
  const ids = endpointId === undefined ? endpoints.map(row => row.endpoint_id as StoredId) : [endpointId]
  return ids.map(id => ({ endpointId: id, connectNum: openOf.get(id) ?? 0 }))
}

async function readTotals(sql: Sql, { endpointId, ...filter }: SessionsFilter): Promise<Totals> {
  const { principal, ...others } = filter
  if (principal !== undefined && narrowing(others).length === 0)
    return await readTotalsOfPrincipal(sql, principal, endpointId)
  const narrowed = narrowing(filter)
  const ofEndpoint = narrowing(endpointId === undefined ? {} : { endpointId })
  if (narrowed.length > 0) return await readTotalsOf(sql, [...narrowed, ...ofEndpoint])
  const where = endpointId === undefined ? '' : ' WHERE endpoint_id = ?'
  const [row] = await sql.all(
    `SELECT SUM(connect_num) AS connect_num, SUM(opened_num) AS opened_num FROM endpoint_connections_v2${where}`,
    endpointId === undefined ? [] : [endpointId]
  )
  return { openNum: Number(row!.connect_num), openedNum: Number(row!.opened_num) }
}

/** The totals of a gateway or a conversation, from its rows: of one of them nothing but an index is read. */
async function readTotalsOf(sql: Sql, conditions: readonly Fragment[]): Promise<Totals> {
  const classes = [OPEN_CLASS, ...closedClasses].join()
  const { text, params } = joined(conditions, ' AND ')
  const rows = await sql.all(
    `SELECT duration_class, COUNT(*) AS session_num FROM endpoint_logs_v2 WHERE duration_class IN (${classes}) AND ${text} GROUP BY duration_class`,
    params
  )
  const sum = (of: Row[]): number => of.reduce((total, row) => total + Number(row.session_num), 0)
  return { openNum: sum(rows.filter(row => row.duration_class === OPEN_CLASS)), openedNum: sum(rows) }
}
