// Owns the database port: transactions, and `Dialect`: all that differs by SQL dialect. The two dialects are in
// mysql/mysql-database.ts and sqlite/sqlite-database.ts; every other statement is written once, for both.

/** What may be bound to a `?`. Values of queries and events are bound, never written into SQL text. */
export type Param = string | number | null
/** A row by column name; time columns come as epoch milliseconds. */
export type Row = Readonly<Record<string, string | number | null>>

/** Statements inside one transaction, and the dialect in which to write them. */
export interface Sql {
  readonly dialect: Dialect
  all(statement: string, params?: readonly Param[]): Promise<Row[]>
  run(statement: string, params?: readonly Param[]): Promise<void>
}

/** What differs by SQL dialect. */
export interface Dialect {
  /** The bound form of an instant, in epoch milliseconds, for a time column. */
  time: (at: number) => Param
  /** SQL for the database's own clock, as a time column tells it. */
  now: string
  /** SQL for the epoch milliseconds of a time column. */
  epochMs: (column: string) => string
  /** SQL for the time column a millisecond later. */
  nextMs: (column: string) => string
  /**
   * A SELECT of each `endpoint_id` and its `net` (opens less closes) in a roll-up table. Its two parameters bound the
   * range: `start_at` from the first instant until before the second.
   */
  netByEndpoint: (table: string) => string
  /** Ends a SELECT whose rows the transaction is about to change. */
  forUpdate: string
  /**
   * Ends an INSERT: in a row that has this key already, set the columns `set`, add to the columns `add`, and raise the columns
   * `raise` to what is larger.
   */
  onConflict: (
    key: readonly string[],
    set: readonly string[],
    add: readonly string[],
    raise?: readonly string[]
  ) => string
}

/** A database that holds a ledger. Its methods throw what the database's client throws. */
export interface Database {
  /** Runs `work` in one transaction; may run it again when the database asks for a retry (deadlock, lock timeout). */
  write: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  /** Runs `work` on one consistent snapshot. */
  read: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  /** Throws where the database could not take a statement that it does not know yet. */
  probe(): Promise<void>
  /** Whether the tables are as `migrate` makes them; changes nothing. */
  isUpToDate(): Promise<boolean>
  /** Makes the tables, or brings them up to date; idempotent, and safe when several processes do it at once. */
  migrate(): Promise<void>
  /** Overwrites on disk what is in no row any more, as far as the database leaves that to its clients. */
  scrub(): Promise<void>
  close(): Promise<void>
}
