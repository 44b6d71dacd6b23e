// Owns following the store's feed while somebody listens: one query a second, each open and close told once.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerLog } from '../../ledger/log.js'
import { reasonOf, SteadyWarning } from '../../ledger/log.js'
import type { FeedChange, StoreReader } from '../../ledger/store.js'

const INTERVAL_MS = 1_000
const MAX_CHANGES = 500

export type OnChanges = (changes: FeedChange[]) => Promise<void>

export class FeedFollower {
  readonly #store: Pick<StoreReader, 'feed'>
  readonly #onChanges: OnChanges
  readonly #warning: SteadyWarning
  #stopping: AbortController | undefined
  #started: Promise<number> | undefined

  constructor(store: Pick<StoreReader, 'feed'>, log: LedgerLog, onChanges: OnChanges) {
    this.#store = store
    this.#onChanges = onChanges
    this.#warning = new SteadyWarning(log)
  }

  /** From when this resolves on, nothing that is committed is left out. Rejects when the store does not answer. */
  async start(): Promise<void> {
    this.#started ??= this.#begin()
    await this.#started
  }

  stop(): void {
    this.#stopping?.abort()
    this.#stopping = undefined
    this.#started = undefined
  }

  async #begin(): Promise<number> {
    const stopping = (this.#stopping = new AbortController())
    try {
      const { position } = await this.#store.feed({ limit: 1 })
      void this.#follow(position, stopping.signal)
      return position
    } catch (error) {
      if (this.#stopping === stopping) this.stop()
      throw error
    }
  }

  async #follow(from: number, stopped: AbortSignal): Promise<void> {
    let after = from
    let more = false
    while (!stopped.aborted) {
      if (!more) await sleep(INTERVAL_MS, undefined, { signal: stopped, ref: false }).catch(() => undefined)
      try {
        const { position, changes } = await this.#store.feed({ after, limit: MAX_CHANGES })
        if (changes.length > 0) await this.#onChanges(changes)
        more = position - after >= MAX_CHANGES
        after = position
      } catch (error) {
        more = false
        this.#warning.warn(
          { reason: reasonOf(error) },
          'the store cannot be read; live monitoring waits for it'
        )
      }
    }
  }
}
