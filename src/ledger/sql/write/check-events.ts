// Owns the audit of events: they are replayed, and what is open after them is compared with the open sessions and the counts.
import { type SessionIds, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { EpochMs } from '../../../util/time.js'
import { OPEN_CLASS } from '../../model/rollup.js'
import type { Database, Row, Sql } from '../sql-database.js'
import { limitTo } from '../statements.js'

/** Rows read at a time. Chosen. */
const PAGE_ROWS = 5_000
/** By so much the clocks of instances may differ, in milliseconds. Chosen: far more than `ledger-clock.ts` leaves. */
const CLOCKS_DIFFER_MS = 10_000

/** Where events and sessions, or counts, say different things. */
export interface EventDifference {
  endpointId: StoredId
  /** Null: it is about all sessions of the endpoint. */
  sessionId: StoredId | null
  what: string
}

/** What came of a replay. */
export interface Replay {
  events: number
  /** When the first event that is kept was committed; null: there is none. */
  since: EpochMs | null
  /** Sessions open after it. */
  open: number
  /** Sessions that are open and opened before the first event: no event tells of them. */
  openBefore: number
  differences: EventDifference[]
}

/** Replays all events that are kept, and compares what is open then; all in one snapshot. */
export const checkEvents = (db: Database): Promise<Replay> =>
  db.read(async sql => {
    const differences: EventDifference[] = []
    const differs = ({ endpointId, sessionId }: SessionIds, what: string): void =>
      void differences.push({ endpointId, sessionId, what })
    const open = new Map<string, SessionIds>()
    /** Those that closed and whose opening is not kept. */
    const closed = new Set<string>()
    let since: EpochMs | null = null
    // Who connected from here on was opened by an event that is kept.
    let keptFrom: EpochMs = Infinity
    let events = 0
    for await (const row of feedRows(sql)) {
      if (since === null) {
        since = row.noted_at as EpochMs
        keptFrom = since + (Number(row.seq) === 1 ? 0 : CLOCKS_DIFFER_MS)
      }
      events++
      const [session, key] = sessionOf(row)
      const isKnown = closed.has(key) || (row.connect_at as EpochMs) >= keptFrom
      if (row.reason === null) {
        if (open.has(key)) differs(session, 'opens twice')
        open.set(key, session)
        closed.delete(key)
      } else if (!open.delete(key)) {
        if (isKnown) differs(session, 'closes though it is not open')
        closed.add(key)
      }
    }
    const openNum = new Map<StoredId, number>()
    const count = ({ endpointId }: SessionIds): void =>
      void openNum.set(endpointId, (openNum.get(endpointId) ?? 0) + 1)
    for (const session of open.values()) count(session)
    const unopened = new Map<string, SessionIds>()
    const found = new Set<string>()
    for await (const row of openRows(sql)) {
      const [session, key] = sessionOf(row)
      if (open.has(key)) found.add(key)
      else if ((row.connect_at as EpochMs) >= keptFrom) differs(session, 'is open, and no event says so')
      else unopened.set(key, session)
    }
    for (const [key, session] of open)
      if (!found.has(key)) differs(session, 'is open by its events, and not among the sessions')
    if (unopened.size > 0) {
      for await (const row of feedRows(sql)) {
        const [session, key] = sessionOf(row)
        if (unopened.delete(key)) differs(session, 'is open, and closed by its events')
      }
    }
    for (const session of unopened.values()) count(session)
    const counts = await sql.all('SELECT endpoint_id, connect_num FROM endpoint_connections_v2')
    for (const row of counts) {
      const endpointId = row.endpoint_id as StoredId
      const off = (openNum.get(endpointId) ?? 0) - Number(row.connect_num)
      if (off !== 0) differences.push({ endpointId, sessionId: null, what: `connect_num is off by ${off}` })
    }
    return { events, since, open: open.size, openBefore: unopened.size, differences }
  })

const sessionOf = (row: Row): [SessionIds, string] => {
  const session = { endpointId: row.endpoint_id as StoredId, sessionId: row.session_id as StoredId }
  return [session, sessionKey(session)]
}

async function* feedRows(sql: Sql): AsyncGenerator<Row> {
  for (let seq = 0; ;) {
    const page = await sql.all(
      `SELECT seq, endpoint_id, session_id, connect_at, reason, noted_at FROM turnstile_feed WHERE seq > ? ORDER BY seq ${limitTo(PAGE_ROWS)}`,
      [seq]
    )
    yield* page
    if (page.length < PAGE_ROWS) return
    seq = Number(page.at(-1)!.seq)
  }
}

async function* openRows(sql: Sql): AsyncGenerator<Row> {
  const { time } = sql.dialect
  for (let [connectAt, id] = [0, 0]; ;) {
    const page = await sql.all(
      `SELECT id, endpoint_id, session_id, connect_at FROM endpoint_logs_v2 WHERE duration_class = ? AND connect_at >= ? AND (connect_at > ? OR id > ?) ORDER BY connect_at, id ${limitTo(PAGE_ROWS)}`,
      [OPEN_CLASS, time(connectAt), time(connectAt), id]
    )
    yield* page
    const last = page.at(-1)
    if (!last || page.length < PAGE_ROWS) return
    ;[connectAt, id] = [last.connect_at as EpochMs, last.id as number]
  }
}
