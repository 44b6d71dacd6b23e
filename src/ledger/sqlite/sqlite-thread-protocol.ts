// Owns what the main thread and the store's worker say to each other.
import type { Store } from '../store-port.js'

/** What a worker is started with. */
export interface SqliteThreadData {
  path: string
  idleTimeoutMs: number
}

/** Methods that answer once. */
export type CallName = Exclude<keyof Store, 'series'>

/** `next` asks for the next chunk of a stream that a `series` request opened (undefined: no more); `cancel` ends it. */
export type Request =
  | { id: number; method: CallName | 'series'; args: readonly unknown[] }
  | { id: number; method: 'next' | 'cancel'; stream: number }

export type Reply = { id: number; value: unknown } | { id: number; error: Error }
