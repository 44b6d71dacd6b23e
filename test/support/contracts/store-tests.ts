// Owns what the contracts of the store port share: a test with a store of its own, and a proxy that ships events to it.
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type {
  Applied,
  InstanceIdentity,
  LedgerRules,
  OutboxEntry,
  Store
} from '../../../src/ledger/store-port.js'
import type { LedgerEvent } from '../../../src/sessions/events.js'
import type { EpochMs } from '../../../src/util/time.js'

/** A UTC midnight. */
export const EPOCH = Date.UTC(2026, 9, 1)

/** Declares a test whose title begins with the name of the adapter. */
export type WithStore = (
  title: string,
  body: (t: Test, store: Store) => Promise<void>,
  rules?: LedgerRules
) => void

/** Each test gets a store of its own; `usual`: the rules of tests that name none. */
export const storeTests =
  (
    t: Test,
    name: string,
    openStore: (rules: LedgerRules) => Promise<Store>,
    usual: LedgerRules = { idleTimeoutMs: 0 }
  ): WithStore =>
  (title, body, rules = usual) => {
    void t.test(`${name}: ${title}`, async t => {
      const store = await openStore(rules)
      t.teardown(() => store.close())
      await body(t, store)
    })
  }

/** A proxy that ships events: numbers them, and remembers its position. */
export class Sender {
  readonly instance: InstanceIdentity = { id: randomUUID(), boot: 1 }
  readonly #store: Store
  readonly #now: EpochMs
  #offset = 0

  /** `now`: when it ships. */
  constructor(store: Store, now: EpochMs = EPOCH) {
    this.#store = store
    this.#now = now
  }

  async start(boot = 1): Promise<this> {
    this.instance.boot = boot
    await this.#store.register(this.instance, this.#now)
    return this
  }

  entries(events: readonly LedgerEvent[]): OutboxEntry[] {
    return events.map(event => ({ offset: ++this.#offset, boot: this.instance.boot, event }))
  }

  async send(...events: LedgerEvent[]): Promise<Applied> {
    return await this.#store.apply(this.instance, this.entries(events), this.#now)
  }
}
