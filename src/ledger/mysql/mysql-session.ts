// Owns the session settings of a connection: whatever a server's administrator chose for others must not bend what we read
// or block what we write.

/**
 * The server's `wait_timeout`: a process that hangs inside a transaction holds its locks no longer than this. It must be a
 * good deal less than any lease.
 */
const MAX_SILENCE_S = 3

/** SQL of their values, by name. A server has only some of them: MariaDB, MySQL and TiDB name several ones differently. */
const SETTINGS: Record<string, string> = {
  autocommit: '1',
  character_set_client: "'utf8mb4'",
  character_set_connection: "'utf8mb4'",
  character_set_results: "'utf8mb4'",
  completion_type: "'NO_CHAIN'",
  max_execution_time: '0',
  // Endpoint ids take up to 1,020 bytes.
  max_sort_length: '1024',
  max_statement_time: '0',
  sql_auto_is_null: '0',
  sql_big_selects: '1',
  // Without NO_ZERO_DATE, for tables from before us may hold such times.
  sql_mode: "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
  sql_safe_updates: '0',
  sql_select_limit: '18446744073709551615',
  // Locks a row also where an INSERT finds it as it should be.
  tidb_lock_unchanged_keys: '1',
  tidb_low_resolution_tso: '0',
  // Clusters that were made with a version before 3.0.8 are optimistic: they have no READ COMMITTED, and take no locks.
  tidb_txn_mode: "'pessimistic'",
  time_zone: "'+00:00'",
  transaction_isolation: "'REPEATABLE-READ'",
  transaction_read_only: '0',
  tx_isolation: "'REPEATABLE-READ'",
  tx_read_only: '0',
  wait_timeout: String(MAX_SILENCE_S)
}

/** Runs a statement on a connection; rejects with the error of mysql2. */
export type Run = (statement: string) => Promise<Record<string, unknown>[]>

/** Sets up the sessions of one server. */
export class SessionSettings {
  /** The settings that the server knows and takes; undefined: not asked yet. */
  #names: readonly string[] | undefined
  /** Those that it knows and refuses. */
  refused: readonly string[] = []
  /** How many connections the account may have at once; 0: no limit of its own. */
  accountLimit = 0

  /** Sets up one connection, before its first other statement. */
  async apply(run: Run): Promise<void> {
    this.#names ??= await this.#ask(run)
    try {
      await run(assignment(this.#names))
    } catch (error) {
      if (!isOfServer(error)) throw error
      const refused: string[] = []
      for (const name of this.#names) {
        await run(assignment([name])).catch((reason: unknown) => {
          if (!isOfServer(reason)) throw reason
          refused.push(name)
        })
      }
      this.refused = [...this.refused, ...refused]
      this.#names = this.#names.filter(name => !refused.includes(name))
    }
  }

  async #ask(run: Run): Promise<string[]> {
    // It would shorten the list that comes next.
    await run(assignment(['sql_select_limit'])).catch((error: unknown) => {
      if (!isOfServer(error)) throw error
    })
    const names = [...Object.keys(SETTINGS), 'max_user_connections'].map(name => `'${name}'`)
    const rows = await run(`SHOW SESSION VARIABLES WHERE Variable_name IN (${names.join(', ')})`)
    const values = new Map(rows.map(row => [String(row.Variable_name), row.Value]))
    this.accountLimit = Number(values.get('max_user_connections') ?? 0)
    return Object.keys(SETTINGS).filter(name => values.has(name))
  }
}

const assignment = (names: readonly string[]): string =>
  `SET ${names.map(name => `SESSION ${name} = ${SETTINGS[name]}`).join(', ')}`

/** Whether the server refused a statement; else the connection is broken. */
export const isOfServer = (error: unknown): boolean => error instanceof Error && 'sqlState' in error
