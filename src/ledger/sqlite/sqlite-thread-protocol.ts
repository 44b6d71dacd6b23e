// Owns the types of the calls from the embedded store to its threads.
import type { LedgerRules, SeriesQuery, Store } from '../store-port.js'
import type { PackedPoints } from './sqlite-packed-series.js'

/** What a thread is started with. */
export interface SqliteThreadData {
  /** The database file. */
  path: string
  /** As for `openSqlite`. */
  mayMake: boolean
  /** As for `sqlStore`. */
  rules: LedgerRules
}

/** The store's methods that give one result: all but `series`, which the methods of `SqliteThread` stand for. */
export type SingleResultMethods = Omit<Store, 'series'>

/** What can be called in a thread. A series is read part by part, each when it is asked for. */
export interface SqliteThread extends SingleResultMethods {
  /** Gives the number of the series, for the two methods below. */
  openSeries(query: SeriesQuery): number
  /** Undefined: there are no more parts. */
  nextPart(series: number): Promise<PackedPoints | undefined>
  /** Frees the series; no more of its parts are asked for. */
  closeSeries(series: number): void
}
