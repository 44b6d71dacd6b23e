// Owns the tests of how often the dashboard asks, on a clock that only the tests move.
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Pace } from '../../src/dashboard/pace.js'

const MIN_MS = 1_000

/** Lets all that is resolved run on. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A pace whose acts take until `finish` is called. */
function paced(t: Test) {
  let now = 0
  mock.timers.enable({ apis: ['setTimeout'] })
  const clock = mock.method(performance, 'now', () => now)
  t.teardown(() => {
    mock.timers.reset()
    clock.mock.restore()
  })
  const finishers: ((error?: Error) => void)[] = []
  let acts = 0
  const pace = new Pace(MIN_MS, () => {
    acts++
    return new Promise<void>((resolve, reject) =>
      finishers.push(error => (error ? reject(error) : resolve()))
    )
  })
  return {
    pace,
    acts: () => acts,
    pass: async (ms: number) => {
      now += ms
      mock.timers.tick(ms)
      await settle()
    },
    finish: async (error?: Error) => {
      finishers.shift()!(error)
      await settle()
    }
  }
}

void t.test('the first time is at once, and many wishes are one', async t => {
  const { pace, acts, pass } = paced(t)
  for (let i = 0; i < 10; i++) pace.soon()
  t.equal(acts(), 0, 'not within the call')
  await pass(0)
  t.equal(acts(), 1)
})

void t.test('never two at a time; what came meanwhile makes one more, after the wait', async t => {
  const { pace, acts, pass, finish } = paced(t)
  pace.soon()
  await pass(0)
  pace.soon()
  pace.soon()
  await pass(10)
  t.equal(acts(), 1)
  await finish()
  await pass(MIN_MS - 1)
  t.equal(acts(), 1)
  await pass(1)
  t.equal(acts(), 2)
  await finish()
  await pass(10 * MIN_MS)
  t.equal(acts(), 2, 'nobody asked again')
})

void t.test('what takes long is asked less often: at most a twentieth of the time', async t => {
  const { pace, acts, pass, finish } = paced(t)
  pace.soon()
  await pass(0)
  await pass(2_000)
  await finish()
  pace.soon()
  await pass(39_999)
  t.equal(acts(), 1)
  await pass(1)
  t.equal(acts(), 2)
})

void t.test(
  'another question does not wait, not even for the one that is under way and then useless',
  async t => {
    const { pace, acts, pass, finish } = paced(t)
    pace.soon()
    await pass(0)
    await finish()
    pace.soon()
    await pass(1)
    t.equal(acts(), 1, 'waits')
    pace.now()
    await pass(0)
    t.equal(acts(), 2)
    await pass(500)
    pace.now()
    await pass(0)
    t.equal(acts(), 2, 'one at a time')
    await finish()
    await pass(0)
    t.equal(acts(), 3)
  }
)

void t.test('what failed is tried again after five seconds, though nobody asks', async t => {
  const { pace, acts, pass, finish } = paced(t)
  pace.soon()
  await pass(0)
  await finish(new Error('the store is away'))
  await pass(4_999)
  t.equal(acts(), 1)
  await pass(1)
  t.equal(acts(), 2)
  await finish()
  await pass(60_000)
  t.equal(acts(), 2)
})

void t.test('after a failure another question does not wait', async t => {
  const { pace, acts, pass, finish } = paced(t)
  pace.soon()
  await pass(0)
  await finish(new Error('the store is away'))
  pace.now()
  await pass(0)
  t.equal(acts(), 2)
})
