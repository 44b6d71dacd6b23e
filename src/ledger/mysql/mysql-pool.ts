// Owns the connections to MySQL: the pool of @fastify/mysql, how many there may be, and that each is set up before its first
// statement.
import { setTimeout as sleep } from 'node:timers/promises'
import fastifyMysql from '@fastify/mysql'
import Fastify from 'fastify'
import { createConnection, type Pool, type PoolConnection, type RowDataPacket } from 'mysql2/promise'
import { codeOf, reasonOf } from '../../util/errors.js'
import type { Log } from '../../util/log.js'
import { parseMysqlUrl } from '../../util/mysql-url.js'
import { monotonicNow } from '../../util/time.js'
import { UnusableStoreError } from '../store-port.js'
import { SessionSettings } from './mysql-session.js'

/** Chosen: a server within reach accepts in milliseconds, and the shipper tries again after a failure. */
const CONNECT_TIMEOUT_MS = 5_000
/** Chosen: the shipper and the maintenance need one each, the others are for queries; a fleet must fit the server's limit. */
const MAX_CONNECTIONS = 10
/** Chosen: enough for the shipper and the maintenance; connections beyond that are closed when they are idle. */
const MAX_IDLE_CONNECTIONS = 2
/** The pool closes an idle connection after this time: half of the server's `wait_timeout`, so that the pool is first. */
const POOL_IDLE_MS = 1_500
/** Statements prepared at once on each connection; chosen well above the number of texts that the ledger writes. */
const MAX_PREPARED_STATEMENTS = 500
/** How long to wait for a connection that the server refuses because there are too many, and how often to try. Both chosen. */
const FULL_TIMEOUT_MS = 10_000
const FULL_RETRY_MS = 50

/** The server, or the account, has as many connections as it may have. */
const FULL_CODES = new Set<string | undefined>([
  'ER_CON_COUNT_ERROR',
  'ER_USER_LIMIT_REACHED',
  'ER_TOO_MANY_USER_CONNECTIONS'
])
/** What no waiting changes: the server has no TLS, or a certificate that is not trusted. */
const TLS_CODES = new Set<string | undefined>(['HANDSHAKE_NO_SSL_SUPPORT', 'HANDSHAKE_SSL_ERROR'])

/** What `openMysql` may be told beside the URL. */
export interface MysqlOptions {
  /** How many pools of this proxy use the account: they share its connections evenly. */
  pools?: number
  /** How many seconds a transaction may be silent before the server ends it; left out: as few as locks allow. */
  silenceS?: number
  log?: Log
}

/** Connections that are set up. */
export class MysqlPool {
  readonly #url: string
  readonly #options: MysqlOptions
  readonly #session = new SessionSettings()
  readonly #ready = new WeakSet<object>()
  readonly #waiting: (() => void)[] = []
  #held = 0
  #limit: number
  #connecting: Promise<Pool> | undefined

  constructor(url: string, options: MysqlOptions) {
    this.#url = url
    this.#options = options
    this.#limit = this.#share(parseMysqlUrl(url).connectionLimit ?? Infinity)
  }

  /**
   * Waits for a connection; `give` it back, or destroy it and give it back. Throws the errors of mysql2, and
   * `UnusableStoreError`.
   */
  async take(): Promise<PoolConnection> {
    while (this.#held >= this.#limit) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#held++
    try {
      const connection = await this.#connection()
      if (this.#ready.has(connection.connection)) return connection
      try {
        await this.#setUp(connection)
      } catch (error) {
        connection.destroy()
        throw error
      }
      this.#ready.add(connection.connection)
      return connection
    } catch (error) {
      this.#next()
      throw TLS_CODES.has(codeOf(error))
        ? new UnusableStoreError(
            `no TLS with the database server: ${reasonOf(error)}: change ssl-mode or ssl-ca of --store`,
            { cause: error }
          )
        : error
    }
  }

  /** Gives a connection back; `isBroken`: it is closed, for the state of its transaction is unknown. */
  give(connection: PoolConnection, isBroken = false): void {
    // Closing the connection rolls back all that was not committed.
    if (isBroken) connection.destroy()
    else connection.release()
    this.#next()
  }

  async close(): Promise<void> {
    await (await this.#connecting?.catch(() => undefined))?.end()
  }

  #next(): void {
    this.#held--
    this.#waiting.shift()?.()
  }

  #share(limit: number): number {
    return Math.min(MAX_CONNECTIONS, Math.max(1, Math.floor(limit / (this.#options.pools ?? 1))))
  }

  async #connection(): Promise<PoolConnection> {
    const deadline = monotonicNow() + FULL_TIMEOUT_MS
    for (;;) {
      try {
        this.#connecting ??= connect(this.#url)
        const pool = await this.#connecting.catch((error: unknown) => {
          this.#connecting = undefined
          throw error
        })
        return await pool.getConnection()
      } catch (error) {
        if (!FULL_CODES.has(codeOf(error)) || monotonicNow() > deadline) throw error
        await sleep(FULL_RETRY_MS)
      }
    }
  }

  async #setUp(connection: PoolConnection): Promise<void> {
    const { pools = 1, log } = this.#options
    // Whoever uses a connection gets its error; the error of one that nobody uses must not end the process.
    connection.connection.on('error', () => undefined)
    const known = this.#session.refused.length
    await this.#session.apply(async sql => {
      const [rows] = await connection.query<RowDataPacket[]>({ sql, timeout: CONNECT_TIMEOUT_MS })
      return rows
    })
    const { accountLimit, refused } = this.#session
    if (refused.length > known)
      log?.warn(
        { settings: refused },
        'the database refuses session settings; its own values may change results'
      )
    if (accountLimit === 0) return
    if (accountLimit < pools)
      throw new UnusableStoreError(
        `the database account may have ${accountLimit} connection(s) at once, and ${pools} are needed: raise its max_user_connections`
      )
    this.#limit = Math.min(this.#limit, this.#share(accountLimit))
  }
}

async function connect(url: string): Promise<Pool> {
  const { connectionLimit: _, ...target } = parseMysqlUrl(url)
  // The pool of a plugin that fails is never closed, with its timer: so this one asks first whether the server is there.
  const probe = await createConnection({ ...target, connectTimeout: CONNECT_TIMEOUT_MS })
  probe.destroy()
  const host = Fastify()
  try {
    await host.register(fastifyMysql, {
      promise: true,
      ...target,
      timezone: 'Z',
      dateStrings: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      connectionLimit: MAX_CONNECTIONS,
      // Less than connectionLimit: only then does mysql2 close idle connections.
      maxIdle: MAX_IDLE_CONNECTIONS,
      idleTimeout: POOL_IDLE_MS,
      enableKeepAlive: true,
      maxPreparedStatements: MAX_PREPARED_STATEMENTS
    })
  } catch (error) {
    await host.close()
    throw error
  }
  return (host as unknown as { mysql: { pool: Pool } }).mysql.pool
}
