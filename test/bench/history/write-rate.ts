// Owns the figures of writing: how many opens and closes a second one shipper carries, and when they can be queried.
// node dist/test/bench/history/write-rate.js --store mysql://… [--events 100000] [--rate 500] [--seconds 20]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { LedgerClock } from '../../../src/ledger/pipeline/ledger-clock.js'
import { type Outbox, openOutbox } from '../../../src/ledger/pipeline/outbox.js'
import { type Shipper, startShipper } from '../../../src/ledger/pipeline/shipper.js'
import type { Store } from '../../../src/ledger/store-port.js'
import type { CloseEvent, OpenEvent } from '../../../src/sessions/events.js'
import { Random } from '../../support/random.js'
import { storeAt } from './bulk.js'

const ENDPOINTS = 1_000
/** Open at any time, so that closes meet sessions of batches long before. */
const OPEN_AT_ONCE = 5_000
/** Every so many events one is watched until a query shows it; few, as watching costs more than writing. */
const WATCHED_EVERY = 23
const POLL_MS = 4
const GIVE_UP_MS = 10_000

const { values: flags } = parseArgs({
  options: {
    store: { type: 'string' },
    events: { type: 'string', default: '100000' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '30' }
  }
})
if (flags.store === undefined)
  throw new Error('--store is missing: sqlite:FILE or mysql://user:password@host:port/database')

/** Opens and closes of sessions at random endpoints, as many of the one as of the other. */
class Crowd {
  readonly #random: Random
  readonly #run: string
  readonly #open: OpenEvent[] = []
  #sessions = 0

  constructor(random: Random) {
    this.#random = random
    this.#run = Date.now().toString(16).padStart(12, '0')
  }

  next(): OpenEvent | CloseEvent {
    const at = Date.now()
    const leaves = this.#open.length >= OPEN_AT_ONCE && this.#sessions % 2 === 0
    if (leaves) {
      const [left] = this.#open.splice(this.#random.int(0, this.#open.length - 1), 1)
      this.#sessions++
      return { type: 'close', endpointId: left!.endpointId, sessionId: left!.sessionId, at, reason: 'delete' }
    }
    const word = (): string =>
      this.#random
        .int(0, 2 ** 32 - 1)
        .toString(16)
        .padStart(8, '0')
    const event: OpenEvent = {
      type: 'open',
      endpointId: `bench-${this.#random.int(1, ENDPOINTS)}`,
      sessionId: `${word()}-${this.#run}-${this.#sessions++}`,
      transport: 2,
      at,
      clientAddress: '127.0.0.1',
      userAgent: 'claude-code/2.1.14 (cli)',
      requests: 1,
      held: false
    }
    this.#open.push(event)
    return event
  }
}

/** Events a second, from an outbox that is full. */
async function sustained(outbox: Outbox, shipper: Shipper, crowd: Crowd): Promise<number> {
  outbox.append(Array.from({ length: OPEN_AT_ONCE }, () => crowd.next()))
  shipper.notify()
  await shipper.whenEmpty(60_000)
  const events = Number(flags.events)
  outbox.append(Array.from({ length: events }, () => crowd.next()))
  const startedMs = performance.now()
  shipper.notify()
  await shipper.whenEmpty(600_000)
  return events / ((performance.now() - startedMs) / 1000)
}

/** From each watched event's append to the first answer that shows it, in ms; sorted. */
async function untilVisible(store: Store, outbox: Outbox, shipper: Shipper, crowd: Crowd): Promise<number[]> {
  const rate = Number(flags.rate)
  const startedMs = performance.now()
  const watched: Promise<number>[] = []
  for (let told = 0; told < rate * Number(flags.seconds);) {
    for (; told < ((performance.now() - startedMs) / 1000) * rate; told++) {
      const event = crowd.next()
      outbox.append([event])
      shipper.notify()
      if (told % WATCHED_EVERY === 0) watched.push(visible(store, event))
    }
    await sleep(1)
  }
  return (await Promise.all(watched)).sort((a, b) => a - b)
}

async function visible(store: Store, event: OpenEvent | CloseEvent): Promise<number> {
  const sinceMs = performance.now()
  for (;;) {
    const [row] = await store.session(event.sessionId)
    const tookMs = performance.now() - sinceMs
    if (row && (event.type === 'open' || row.reason !== null)) return tookMs
    if (tookMs > GIVE_UP_MS) throw new Error(`${event.type} of ${event.sessionId} does not show`)
    await sleep(POLL_MS)
  }
}

const directory = mkdtempSync(join(tmpdir(), 'turnstile-write-rate-'))
const random = new Random()
const store = storeAt(flags.store)
const outbox = openOutbox({ directory, now: Date.now() })
const log = { error: console.error, warn: console.error, info: console.error }
const crowd = new Crowd(random)
console.log(`seed ${random.seed}, node ${process.version}`)
const shipper = startShipper({ outbox, store, clock: new LedgerClock(log), log })
const perSecond = await sustained(outbox, shipper, crowd)
console.log(`sustained: ${Math.round(perSecond)} opens and closes a second, ${flags.events} events`)
const tookMs = await untilVisible(store, outbox, shipper, crowd)
const at = (share: number): string => tookMs[Math.ceil(share * tookMs.length) - 1]!.toFixed(1)
console.log(
  `at ${flags.rate}/s for ${flags.seconds} s, event to visible: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms, ${tookMs.length} watched`
)
await shipper.close()
await store.close()
await outbox.close()
rmSync(directory, { recursive: true })
