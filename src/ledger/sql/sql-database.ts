// Owns the database port: transactions and the few places where SQL dialects differ.
/** What may be bound to a `?`. Nothing is ever written into SQL text. */
export type Param = string | number | null
/** A row by column name; times come as epoch ms. */
export type Row = Readonly<Record<string, string | number | null>>

/** Statements inside one transaction, and the dialect in which to write them. */
export interface Sql {
  readonly dialect: Dialect
  all(statement: string, params?: readonly Param[]): Promise<Row[]>
  run(statement: string, params?: readonly Param[]): Promise<void>
}

export interface Dialect {
  /** The bound form of an instant, in epoch ms, for a time column. */
  time: (at: number) => Param
  /** SQL for the epoch milliseconds of a time column. */
  epochMs: (column: string) => string
  /**
   * A SELECT of each `endpoint_id` and its `net` (opens less closes) in a roll-up table, `start_at` from one bound
   * instant until before another.
   */
  netByEndpoint: (table: string) => string
  /** Ends a SELECT whose rows the transaction is about to change. */
  forUpdate: string
  /** Ends an INSERT: in a row that has this key already, set these columns and add to those (none: leave it alone). */
  onConflict: (key: readonly string[], set: readonly string[], add: readonly string[]) => string
}

export interface Database {
  /** Runs `work` in one transaction; may run it again when the database asks for a retry (deadlock, lock timeout). */
  write: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  /** Runs `work` on one consistent snapshot. */
  read: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  /** Makes the tables, or brings them up to date; idempotent, and safe when several processes do it at once. */
  migrate(): Promise<void>
  close(): Promise<void>
}
