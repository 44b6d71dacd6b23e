// Owns that no upkeep starves another: heartbeats and idle close keep to their second, whatever else there is to do.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LedgerClock } from '../../src/ledger/pipeline/ledger-clock.js'
import { startStoreMaintenance } from '../../src/ledger/pipeline/store-maintenance.js'
import type { StoreWriter } from '../../src/ledger/store-port.js'

const log = { error: () => undefined, warn: () => undefined, info: () => undefined }
/** How long each batch takes. */
const BATCH_MS = 30
/** The goal: no heartbeat is older, and no session idles later. */
const LATEST_MS = 2_000

/** A store with more old rows of each kind than can ever be deleted. `calls`: when each method was called, in ms. */
class BusyStore implements Partial<StoreWriter> {
  readonly calls = new Map<string, number[]>()
  others: { id: string; heartbeatAt: number }[] = []
  readonly #lost = deferred()
  readonly allLost = this.#lost.resolve

  async #batch(method: string, tookMs = BATCH_MS): Promise<number> {
    const calls = this.calls.get(method) ?? []
    this.calls.set(method, [...calls, performance.now()])
    await sleep(tookMs)
    return 500
  }

  async heartbeat() {
    await this.#batch('heartbeat', 0)
    return { storeAt: Date.now(), lostAt: null, erasedAt: null, others: this.others }
  }

  async closeIdle() {
    await this.#batch('closeIdle')
    return []
  }

  probe = () => Promise.resolve()
  settleEarlyCloses = () => this.#batch('settleEarlyCloses')
  deleteFeed = () => this.#batch('deleteFeed')
  deleteEnded = () => this.#batch('deleteEnded')
  deleteRollups = () => this.#batch('deleteRollups')
  /** A lost proxy with more streams than can ever be closed, until `allLost` is called. */
  loseStreams = async () => {
    await this.#batch('loseStreams', 0)
    return await this.#lost.promise
  }

  /** The longest time between two calls of a method, the end of the test included. */
  longestGapMs(method: string): number {
    const times = [...this.calls.get(method)!, performance.now()]
    return Math.max(...times.slice(1).map((time, i) => time - times[i]!))
  }
}

void t.test(
  'with old rows of every kind without end, and a lost proxy, nothing waits for the rest',
  async t => {
    const store = new BusyStore()
    store.others = [{ id: 'gone', heartbeatAt: 1 }]
    const maintenance = startStoreMaintenance({
      store: store as unknown as StoreWriter,
      clock: new LedgerClock(log),
      instance: { id: 'this', boot: 1 },
      leaseMs: 1_000,
      retentionMs: 3_600_000,
      rollupRetentionMs: 3_600_000,
      eventRetentionMs: 3_600_000,
      isRegistered: () => true,
      onFailure: () => t.fail('no heartbeat fails'),
      onLost: () => t.fail('not lost'),
      onErased: () => t.fail('nothing was erased'),
      onIdle: () => undefined,
      log
    })
    while ((store.calls.get('heartbeat')?.length ?? 0) < 5) await sleep(20)
    t.equal(store.calls.get('loseStreams')?.length, 1, 'the streams of the lost proxy are being closed')
    for (const method of ['heartbeat', 'closeIdle'])
      t.ok(store.longestGapMs(method) < LATEST_MS, `${method} is called every second`)
    for (const method of ['settleEarlyCloses', 'deleteFeed', 'deleteEnded', 'deleteRollups']) {
      const batches = store.calls.get(method)!.length
      t.ok(batches >= 5, `${method} has its turn again and again: ${batches}`)
      t.ok(batches * BATCH_MS * 4 < 5_000, 'and together they rest for a part of the time')
    }
    store.allLost(1)
    await maintenance.close()
  }
)

function deferred(): { promise: Promise<number>; resolve: (streams: number) => void } {
  let resolve!: (streams: number) => void
  const promise = new Promise<number>(done => (resolve = done))
  return { promise, resolve }
}
