// Owns that the ledger's clock is the store's, and that no time is ever told again.
import t from 'tap'
import { LedgerClock } from '../../src/ledger/pipeline/ledger-clock.js'
import { epochNow } from '../../src/util/time.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

class World {
  readonly warnings: { aheadMs: number }[] = []
  /** How far the store's clock is ahead of that of this process. */
  storeAheadMs = 0
  readonly clock = new LedgerClock({
    warn: details => void this.warnings.push(details as { aheadMs: number }),
    info: () => undefined,
    error: () => undefined
  })

  async begin(toldAt = 0): Promise<void> {
    await this.clock.begin(() => Promise.resolve({ storeAt: this.#storeAt(), toldAt }))
  }

  async read(): Promise<void> {
    await this.clock.reading(() => Promise.resolve({ storeAt: this.#storeAt() }))
  }

  #storeAt(): number {
    return epochNow() + this.storeAheadMs
  }
}

const about = (at: number, expected: number): boolean => Math.abs(at - expected) < 1_000

void t.test('a store whose clock is right changes nothing', async t => {
  const world = new World()
  await world.begin()
  t.equal(world.clock.of(5), 5)
  const event = { type: 'restart', at: 5 } as const
  t.equal(world.clock.event(event), event)
  t.same(world.warnings, [])
})

for (const storeAheadMs of [10 * MINUTE, -10 * MINUTE])
  void t.test(
    `events of a proxy whose clock is ${-storeAheadMs} ms ahead get the times of the store`,
    async t => {
      const world = new World()
      world.storeAheadMs = storeAheadMs
      await world.begin()
      t.ok(about(world.clock.now(), epochNow() + storeAheadMs))
      const session = { endpointId: 'e', sessionId: 's' }
      const use = { type: 'use', ...session, transport: 2, at: 7, provedAt: 6, requests: 1 } as const
      const offset = world.clock.of(0)
      t.match(world.clock.event(use), { at: 7 + offset, provedAt: 6 + offset })
      t.ok(about(world.clock.aheadMs!, -storeAheadMs))
      await world.read()
      t.match(world.warnings, [{ aheadMs: Number }], 'it is told once')
    }
  )

void t.test('a clock of the store that is put forward is followed at once', async t => {
  const world = new World()
  await world.begin()
  world.storeAheadMs = 2 * HOUR
  await world.read()
  t.ok(about(world.clock.now(), epochNow() + 2 * HOUR))
})

void t.test('where it is put back, time goes on, somewhat slower', async t => {
  const world = new World()
  await world.begin()
  world.storeAheadMs = -2 * HOUR
  await world.read()
  let last = world.clock.now()
  for (const until = performance.now() + 500; performance.now() < until;) {
    await world.read()
    const now = world.clock.now()
    if (now < last) t.fail('it went back')
    last = now
  }
  const behindMs = epochNow() - world.clock.now()
  t.ok(behindMs > 20 && behindMs < 200, `it is slower by a tenth: ${behindMs} ms in 500`)
})

void t.test('a proxy that starts after that goes on where the others are', async t => {
  const world = new World()
  world.storeAheadMs = -2 * HOUR
  await world.begin(epochNow())
  t.ok(about(world.clock.now(), epochNow()))
})

void t.test('a clock that was days ahead was wrong: it is followed at once', async t => {
  const world = new World()
  await world.begin()
  world.storeAheadMs = -50 * HOUR
  await world.read()
  t.ok(about(world.clock.now(), epochNow() - 50 * HOUR))
})
