// Owns reading and writing session rows of endpoint_logs_v2: one table of columns for both ways.
import { type SessionIds, sessionKey, type StoredId } from '../../mcp/stored-ids.js'
import type { EpochMs } from '../../util/time.js'
import type { SessionRecord } from '../model/merge.js'
import { durationClass } from '../model/rollup.js'
import type { SessionRow } from '../store-port.js'
import type { Dialect, Param, Row, Sql } from './sql-database.js'
import { insertMany, marks, runs } from './statements.js'

const KEY = ['session_id', 'endpoint_id']

/**
 * Column, property, and whether it is an instant, several as text, or a yes or no. To add a column: name it here, in `SessionRecord` and
 * in schema.sql.
 */
const columns: readonly (readonly [string, keyof Omit<SessionRecord, 'id'>, ('time' | 'times' | 'flag')?])[] =
  [
    ['session_id', 'sessionId'],
    ['endpoint_id', 'endpointId'],
    ['transport_type', 'transport'],
    ['connect_at', 'connectAt', 'time'],
    ['disconnect_at', 'disconnectAt', 'time'],
    ['reason', 'reason'],
    ['last_seen_at', 'lastSeenAt', 'time'],
    ['request_count', 'requestCount'],
    ['bytes_in', 'bytesIn'],
    ['bytes_out', 'bytesOut'],
    ['call_count', 'callCount'],
    ['error_count', 'errorCount'],
    ['unread_count', 'unreadCount'],
    ['seen_by', 'seenBy'],
    ['upstream', 'upstream'],
    ['client_address', 'clientAddress'],
    ['user_agent', 'userAgent'],
    ['client_name', 'clientName'],
    ['client_version', 'clientVersion'],
    ['protocol_version', 'protocolVersion'],
    ['closed_at', 'closedAt', 'time'],
    ['closed_by', 'closedBy'],
    ['proved_at', 'provedAt', 'time'],
    ['gone_times', 'goneAt', 'times'],
    ['holder', 'holder'],
    ['holder_boot', 'holderBoot'],
    ['principal', 'principal'],
    ['principal_kind', 'principalKind'],
    ['oauth_client', 'oauthClient'],
    ['principal_at', 'principalAt', 'time'],
    ['is_shared', 'isShared', 'flag'],
    ['conversation', 'conversation'],
    ['conversation_at', 'conversationAt', 'time']
  ]

const names = columns.map(([name]) => name)
const written = [...names, 'duration_class']
const changing = written.filter(name => !KEY.includes(name))

/** The columns that a SELECT must list for `readRow`. */
export const ROW_COLUMNS = ['id', ...names].join(', ')

/** The record of a row that was selected with `ROW_COLUMNS`. */
export function readRow(row: Row): SessionRecord & SessionRow {
  const entries = columns.map(([name, property, kind]) => [
    property,
    kind === 'times' ? readTimes(row[name]) : kind === 'flag' ? row[name] === 1 : row[name]
  ])
  const record = { id: row.id, ...Object.fromEntries(entries) } as SessionRecord & SessionRow
  // Rows from before there was `gone_times`. Where a legacy stream was seen, such an end stays final: nobody tells it again.
  return record.closedBy === 'gone' && record.closedAt !== null && record.holder === null
    ? { ...record, closedAt: null, closedBy: null, goneAt: [record.closedAt] }
    : record
}

const readTimes = (value: unknown): EpochMs[] =>
  typeof value === 'string' ? value.split(',').map(Number) : []

/** The rows with these session ids, of whichever endpoint, by `sessionKey`. */
export async function loadRows(
  sql: Sql,
  sessionIds: readonly StoredId[]
): Promise<Map<string, SessionRow & SessionRecord>> {
  const records = new Map<string, SessionRow & SessionRecord>()
  for (const ids of runs(sessionIds)) {
    const statement = `SELECT ${ROW_COLUMNS} FROM endpoint_logs_v2 WHERE session_id IN (${marks(ids.length)})`
    for (const record of (await sql.all(statement, ids)).map(readRow)) records.set(sessionKey(record), record)
  }
  return records
}

/** Writes records: changed ones by the id of their row, which is the cheaper key, new ones by their ids of endpoint and session. */
export async function saveRecords(sql: Sql, records: readonly SessionRecord[]): Promise<void> {
  const rowOf = (record: SessionRecord): Param[] => [
    ...columns.map(column => bound(sql.dialect, record, column)),
    durationClass(record)
  ]
  const write = (key: string[], names: string[], rows: readonly Param[][]): Promise<void> =>
    insertMany(sql, 'endpoint_logs_v2', names, rows, sql.dialect.onConflict(key, changing, []))
  const changed = records.flatMap(record => (record.id === undefined ? [] : [[record.id, ...rowOf(record)]]))
  await write(['id'], ['id', ...written], changed)
  await write(KEY, written, records.filter(({ id }) => id === undefined).map(rowOf))
}

/** Deletes the rows of these sessions. */
export async function deleteRecords(sql: Sql, records: readonly SessionIds[]): Promise<void> {
  for (const { sessionId, endpointId } of records) {
    await sql.run('DELETE FROM endpoint_logs_v2 WHERE session_id = ? AND endpoint_id = ?', [
      sessionId,
      endpointId
    ])
  }
}

function bound(dialect: Dialect, record: SessionRecord, [, property, kind]: (typeof columns)[number]): Param {
  const value = record[property]
  if (typeof value === 'boolean') return Number(value)
  if (typeof value === 'object' && value !== null) return value.length === 0 ? null : value.join()
  return kind === 'time' && typeof value === 'number' ? dialect.time(value) : (value ?? null)
}
