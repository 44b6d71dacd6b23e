// Owns reading the feed as events: pages of it after a place, and whether what comes after that place is still there.
import { sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { Transport } from '../../../mcp/transports.js'
import type { CloseReason } from '../../../sessions/events.js'
import type { EpochMs } from '../../../util/time.js'
import type {
  EventKind,
  EventPosition,
  EventsPart,
  EventsQuery,
  NoEvents,
  StoredEvent
} from '../../event-port.js'
import { type Fragment, joined } from '../fragments.js'
import { loadRows } from '../session-rows.js'
import type { Database, Row, Sql } from '../sql-database.js'
import { limitTo, marks } from '../statements.js'

/** Entries of the feed that one query looks at. Chosen: where few of them are asked for, it takes some milliseconds. */
const SPAN = 20_000

/** How far the feed goes. The text of a place, and of an event, is `seq-tag`. */
interface Head {
  lastSeq: number
  tag: string
  /** The store's own clock. */
  now: EpochMs
}

/** `StoreReader.eventsEnd`. */
export const eventsEnd = (db: Database): Promise<EventPosition> =>
  db.read(async sql => {
    const { lastSeq, tag } = await headOf(sql)
    return textOf(lastSeq, tag)
  })

/** `StoreReader.events`. */
export async function events(db: Database, query: EventsQuery): Promise<EventsPart | NoEvents> {
  return await db.read(async sql => {
    const head = await headOf(sql)
    const from = await startOf(sql, head, query)
    if (typeof from === 'string') return from
    const to = Math.min(from + SPAN, head.lastSeq)
    const rows = from < to ? await rowsBetween(sql, from, to, query) : []
    const position = rows.length < query.limit ? to : Number(rows.at(-1)!.seq)
    const sessions = await loadRows(sql, [...new Set(rows.map(row => row.session_id as StoredId))])
    return {
      events: rows.map((row): StoredEvent => {
        const ids = { endpointId: row.endpoint_id as StoredId, sessionId: row.session_id as StoredId }
        const session = sessions.get(sessionKey(ids))
        const id = textOf(Number(row.seq), head.tag)
        return {
          ...{ ...ids, id, position: id, session },
          kind: kindOf(row),
          transport: (row.transport_type as Transport | null) ?? session?.transport ?? null,
          connectAt: row.connect_at as EpochMs,
          disconnectAt: row.disconnect_at as EpochMs,
          reason: row.reason as CloseReason | null,
          requestCount: Number(row.request_count),
          notedAt: row.noted_at as EpochMs
        }
      }),
      start: textOf(from, head.tag),
      position: textOf(position, head.tag),
      more: position < head.lastSeq
    }
  })
}

/** Where the feed ends in this snapshot: a transaction moves that together with what it adds. */
async function headOf(sql: Sql): Promise<Head> {
  const [row] = await sql.all(`SELECT last_seq, tag, ${sql.dialect.now} AS now_at FROM turnstile_feed_head`)
  return { lastSeq: Number(row?.last_seq ?? 0), tag: String(row?.tag ?? '0'), now: Number(row?.now_at ?? 0) }
}

/** The `seq` after which the events begin. */
async function startOf(sql: Sql, head: Head, { after, keptMs }: EventsQuery): Promise<number | NoEvents> {
  const keptSince = keptMs === 0 ? -Infinity : head.now - keptMs
  if (after === undefined) return await firstKept(sql, head, keptSince)
  const [, digits, tag] = /^(\d{1,15})-([\w-]{1,12})$/.exec(after) ?? []
  if (digits === undefined) return 'unreadable'
  const from = Number(digits)
  if (from > head.lastSeq || (from > 0 && tag !== head.tag)) return 'expired'
  if (from === head.lastSeq) return from
  const [next] = await sql.all(
    'SELECT seq, noted_at FROM turnstile_feed WHERE seq > ? ORDER BY seq LIMIT 1',
    [from]
  )
  const isThere = next !== undefined && Number(next.seq) === from + 1 && Number(next.noted_at) >= keptSince
  return isThere ? from : 'expired'
}

async function firstKept(sql: Sql, { lastSeq }: Head, keptSince: EpochMs): Promise<number> {
  const [first] = await sql.all('SELECT seq FROM turnstile_feed WHERE noted_at >= ? ORDER BY seq LIMIT 1', [
    sql.dialect.time(Math.max(0, keptSince))
  ])
  return first === undefined ? lastSeq : Number(first.seq) - 1
}

async function rowsBetween(
  sql: Sql,
  from: number,
  to: number,
  { endpointId, kinds, limit }: EventsQuery
): Promise<Row[]> {
  const { text, params } = joined(
    [
      { text: 'seq > ? AND seq <= ?', params: [from, to] },
      ...(endpointId === undefined ? [] : [{ text: 'endpoint_id = ?', params: [endpointId] }]),
      ...(kinds === undefined ? [] : [ofKinds(kinds)])
    ],
    ' AND '
  )
  return await sql.all(
    `SELECT seq, endpoint_id, session_id, transport_type, connect_at, disconnect_at, reason, is_again, request_count, noted_at FROM turnstile_feed WHERE ${text} ORDER BY seq ${limitTo(limit)}`,
    params
  )
}

/** By whether `reason` is null, and `is_again`: together a number, because a list of numbers is one condition. */
function ofKinds(kinds: readonly EventKind[]): Fragment {
  if (kinds.length === 0) return { text: '1 = 0', params: [] }
  const numbers = { opened: 0, reopened: 1, closed: 2 }
  return {
    text: `CASE WHEN reason IS NULL THEN is_again ELSE 2 END IN (${marks(kinds.length)})`,
    params: kinds.map(kind => numbers[kind])
  }
}

const kindOf = (row: Row): EventKind =>
  row.reason !== null ? 'closed' : row.is_again === 1 ? 'reopened' : 'opened'

const textOf = (seq: number, tag: string): string => `${seq}-${tag}`
