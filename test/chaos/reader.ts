// Owns the independent reader: on one consistent snapshot, counts and roll-ups must equal the rows.
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'

const EVERY_MS = 100
/** Roll-ups bucket by bucket, which reads each row several times. */
const FULL_EVERY_MS = 1_000
const CONNECT_TIMEOUT_MS = 2_000
const ROWS_SHOWN = 50

/** Each answers the differences, and nothing when all is well. */
const states = `
  SELECT * FROM endpoint_logs_v2
  WHERE (duration_class = -1) <> (reason IS NULL) OR (disconnect_at = connect_at) <> (reason IS NULL)
     OR disconnect_at < connect_at`
const totals = `
  SELECT endpoint_id, SUM(connect_num) AS connect_num, SUM(open_rows) AS open_rows,
         SUM(minutes_opened) AS minutes_opened, SUM(days_opened) AS days_opened, SUM(all_rows) AS all_rows,
         SUM(minutes_closed) AS minutes_closed, SUM(days_closed) AS days_closed, SUM(closed_rows) AS closed_rows
  FROM (
    SELECT endpoint_id, connect_num, 0 AS open_rows, 0 AS minutes_opened, 0 AS days_opened, 0 AS all_rows,
           0 AS minutes_closed, 0 AS days_closed, 0 AS closed_rows FROM endpoint_connections_v2
    UNION ALL
    SELECT endpoint_id, 0, SUM(reason IS NULL), 0, 0, COUNT(*), 0, 0, SUM(reason IS NOT NULL)
    FROM endpoint_logs_v2 GROUP BY endpoint_id
    UNION ALL
    SELECT endpoint_id, 0, 0, SUM(opened), 0, 0, SUM(closed), 0, 0 FROM endpoint_minutes_v2 GROUP BY endpoint_id
    UNION ALL
    SELECT endpoint_id, 0, 0, 0, SUM(opened), 0, 0, SUM(closed), 0 FROM endpoint_days_v2 GROUP BY endpoint_id
  ) AS parts
  GROUP BY endpoint_id
  HAVING SUM(connect_num) <> SUM(open_rows)
      OR SUM(minutes_opened) <> SUM(all_rows) OR SUM(days_opened) <> SUM(all_rows)
      OR SUM(minutes_closed) <> SUM(closed_rows) OR SUM(days_closed) <> SUM(closed_rows)`

const principals = `
  SELECT endpoint_id, principal, SUM(active_num) AS active_num, SUM(session_num) AS session_num,
         SUM(request_num) AS request_num
  FROM (
    SELECT endpoint_id, principal, active_num, session_num, request_num FROM turnstile_principals
    UNION ALL
    SELECT endpoint_id, principal, -SUM(reason IS NULL), -COUNT(*), -SUM(request_count)
    FROM endpoint_logs_v2 WHERE principal IS NOT NULL GROUP BY endpoint_id, principal
    UNION ALL
    SELECT '', principal, -SUM(reason IS NULL), -COUNT(*), -SUM(request_count)
    FROM endpoint_logs_v2 WHERE principal IS NOT NULL GROUP BY principal
  ) AS parts
  GROUP BY endpoint_id, principal
  HAVING SUM(active_num) <> 0 OR SUM(session_num) <> 0 OR SUM(request_num) <> 0`
const conversations = `
  SELECT endpoint_id, SUM(grouped_num) AS grouped_num, SUM(conversation_num) AS conversation_num
  FROM (
    SELECT endpoint_id, grouped_num, conversation_num FROM endpoint_connections_v2
    UNION ALL
    SELECT endpoint_id, -COUNT(*), -COUNT(DISTINCT conversation)
    FROM endpoint_logs_v2 WHERE reason IS NULL AND conversation IS NOT NULL GROUP BY endpoint_id
  ) AS parts
  GROUP BY endpoint_id HAVING SUM(grouped_num) <> 0 OR SUM(conversation_num) <> 0`

const buckets = (table: string, format: string): string => {
  const start = (column: string) => `CAST(DATE_FORMAT(${column}, '${format}') AS DATETIME(3))`
  return `
  SELECT '${table}' AS differs, endpoint_id, start_at, SUM(opened) AS opened, SUM(closed) AS closed, SUM(net) AS net
  FROM (
    SELECT endpoint_id, start_at, opened, closed, net_at_start AS net FROM ${table}
    UNION ALL
    SELECT endpoint_id, ${start('connect_at')}, -1, 0, -(connect_at = ${start('connect_at')}) FROM endpoint_logs_v2
    UNION ALL
    SELECT endpoint_id, ${start('disconnect_at')}, 0, -1, disconnect_at = ${start('disconnect_at')}
    FROM endpoint_logs_v2 WHERE reason IS NOT NULL
  ) AS parts
  GROUP BY endpoint_id, start_at HAVING SUM(opened) <> 0 OR SUM(closed) <> 0 OR SUM(net) <> 0`
}
const minutes = buckets('endpoint_minutes_v2', '%Y-%m-%d %H:%i:00')
const days = buckets('endpoint_days_v2', '%Y-%m-%d 00:00:00')

const always = [states, totals, principals, conversations]

/** A row of `endpoint_logs_v2`, as far as the checks at rest need it. Times in epoch ms. */
export interface SessionRow {
  endpointId: string
  sessionId: string
  transport: number
  connectAt: number
  disconnectAt: number
  reason: string | null
  requestCount: number
  upstream: string | null
  principal: string | null
  conversation: string | null
}

export class Reader {
  readonly #url: string
  #connection: Connection | undefined
  #fullAt = 0
  #stopped = false
  #running: Promise<void> | undefined
  /** Snapshots that were read to their end, and those of them compared bucket by bucket. */
  checks = 0
  fullChecks = 0
  /** Streams that were open again after they had been taken for lost. */
  reopened = 0
  readonly #lost = new Set<unknown>()
  readonly violations: string[] = []

  constructor(url: string) {
    this.#url = url
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    this.#connection?.destroy()
  }

  /** One check of everything; for when the database is up. */
  async checkAll(): Promise<void> {
    await this.#check(true)
  }

  async rows(): Promise<SessionRow[]> {
    const rows = await this.#query(
      `SELECT endpoint_id, session_id, transport_type, connect_at, disconnect_at, reason, request_count, upstream,
              principal, conversation
       FROM endpoint_logs_v2 ORDER BY id`
    )
    return rows.map(row => ({
      endpointId: String(row['endpoint_id']),
      sessionId: String(row['session_id']),
      transport: Number(row['transport_type']),
      connectAt: epochMs(row['connect_at']),
      disconnectAt: epochMs(row['disconnect_at']),
      reason: row['reason'] as string | null,
      requestCount: Number(row['request_count']),
      upstream: row['upstream'] as string | null,
      principal: row['principal'] as string | null,
      conversation: row['conversation'] as string | null
    }))
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const next = performance.now() + EVERY_MS
      try {
        await this.#check(performance.now() - this.#fullAt >= FULL_EVERY_MS)
      } catch (error) {
        this.#connection?.destroy()
        this.#connection = undefined
        if (!isOutage(error)) this.violations.push(`the reader failed: ${String(error)}`)
      }
      await sleep(Math.max(0, next - performance.now()))
    }
  }

  async #check(full: boolean): Promise<void> {
    await this.#query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    await this.#query('START TRANSACTION WITH CONSISTENT SNAPSHOT')
    const found: string[] = []
    for (const statement of full ? [...always, minutes, days] : always) {
      for (const difference of await this.#query(statement)) {
        found.push(JSON.stringify(difference), ...(await this.#rowsBehind(difference)))
      }
    }
    if (full) await this.#noteReopened()
    await this.#query('COMMIT')
    this.violations.push(...found)
    this.checks++
    if (!full) return
    this.fullChecks++
    this.#fullAt = performance.now()
  }

  async #noteReopened(): Promise<void> {
    for (const { id, reason } of await this.#query(
      'SELECT id, reason FROM endpoint_logs_v2 WHERE transport_type = 1'
    )) {
      if (reason === 'lost') this.#lost.add(id)
      else if (this.#lost.delete(id) && reason === null) this.reopened++
    }
  }

  /** The endpoint's newest rows, from the same snapshot. */
  async #rowsBehind(difference: RowDataPacket): Promise<string[]> {
    const statement = `SELECT * FROM endpoint_logs_v2 WHERE endpoint_id = ?
      ORDER BY GREATEST(connect_at, disconnect_at, last_seen_at) DESC LIMIT ${ROWS_SHOWN}`
    const rows = await this.#query(statement, [difference['endpoint_id'] as string])
    return rows.map(row => `    ${JSON.stringify(row)}`)
  }

  async #query(statement: string, params: string[] = []): Promise<RowDataPacket[]> {
    this.#connection ??= await this.#connect()
    const [rows] = await this.#connection.query<RowDataPacket[]>(statement, params)
    return rows
  }

  async #connect(): Promise<Connection> {
    const connection = await createConnection({
      uri: this.#url,
      dateStrings: true,
      connectTimeout: CONNECT_TIMEOUT_MS
    })
    connection.on('error', () => (this.#connection = undefined))
    return connection
  }
}

const epochMs = (time: unknown): number => Date.parse(`${String(time).replace(' ', 'T')}Z`)

/** The database is down, going down or not yet up. */
function isOutage(error: unknown): boolean {
  const { code = '', fatal, message = '' } = error as { code?: string; fatal?: boolean; message?: string }
  const codes = [
    'PROTOCOL_CONNECTION_LOST',
    'ER_SERVER_SHUTDOWN',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT'
  ]
  return codes.includes(code) || fatal === true || /closed state/.test(message)
}
