// Owns that the counts behind the session limit are exact at every moment, whatever the store has when it is read.
import t from 'tap'
import { startLiveCounts } from '../../src/ledger/pipeline/live-counts.js'
import { Random } from '../support/random.js'

const STEPS = 5_000

/** One endpoint: an outbox of opens and closes, and a store that has applied it up to some entry. */
class World {
  readonly entries: (1 | -1 | 0)[] = []
  appliedOffset = 0
  isAway = false
  readonly instance = { id: 'this', boot: 1 }
  readonly counts = startLiveCounts({
    outbox: this,
    read: () =>
      this.isAway
        ? Promise.reject(new Error('away'))
        : Promise.resolve({
            appliedOffset: this.appliedOffset,
            counts: [['e', this.openAt(this.appliedOffset)]]
          })
  })

  get lastOffset(): number {
    return this.entries.length
  }

  /** Sessions that are open after so many entries. */
  openAt(offset: number): number {
    return this.entries.slice(0, offset).reduce<number>((sum, by) => sum + by, 0)
  }

  /** A session opens or ends; the use of another one may be reported just before. */
  change(by: 1 | -1, withUse: boolean): void {
    this.counts.change('e', by)
    if (withUse) this.entries.push(0)
    this.entries.push(by)
    this.counts.recorded()
  }
}

void t.test('the count is what is open, over batches of every size and outages', async t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  const world = new World()
  t.teardown(() => world.counts.close())
  let reads = 0
  for (let step = 0; step < STEPS; step++) {
    const open = world.openAt(world.entries.length)
    const what = random.int(0, 9)
    if (what < 5) world.change(open > 0 && random.int(0, 1) === 0 ? -1 : 1, random.int(0, 2) === 0)
    else if (what < 7) world.appliedOffset = random.int(world.appliedOffset, world.entries.length)
    else if (what < 9) await world.counts.read().then(() => reads++)
    else world.isAway = !world.isAway
    const [counted, expected] = [world.counts.of('e'), world.openAt(world.entries.length)]
    if (counted !== expected) return t.fail(`${counted} instead of ${expected} in step ${step}`)
  }
  t.ok(reads > STEPS / 10)
})

void t.test(
  'what other proxies do, and ends concluded from silence, show when the store is read again',
  async t => {
    const world = new World()
    t.teardown(() => world.counts.close())
    world.entries.push(1, 1)
    t.equal(world.counts.of('e'), 0)
    world.appliedOffset = 2
    await world.counts.read()
    t.equal(world.counts.of('e'), 2)
    t.equal(world.counts.of('f'), 0)
    t.equal(world.counts.of('an id that cannot be stored'), 0)
  }
)

void t.test('a change whose event could not be written counts until the store is read again', async t => {
  const world = new World()
  t.teardown(() => world.counts.close())
  world.counts.change('e', 1)
  world.counts.recorded()
  t.equal(world.counts.of('e'), 1)
  await world.counts.read()
  t.equal(world.counts.of('e'), 0)
})

void t.test('a session that takes the place of another one', async t => {
  const world = new World()
  t.teardown(() => world.counts.close())
  world.change(1, false)
  world.counts.change('e', -1)
  world.counts.change('e', 1)
  world.entries.push(-1, 1)
  world.counts.recorded()
  t.equal(world.counts.of('e'), 1)
  world.appliedOffset = world.entries.length
  await world.counts.read()
  t.equal(world.counts.of('e'), 1)
})
