// Owns what shows that the upstream serves one connection at a time, and what does not.
import { mock } from 'node:test'
import t from 'tap'
import { SerialUpstreamDetector } from '../../../src/proxy/upstream/serial-upstream.js'

function start() {
  const told: string[] = []
  const detector = new SerialUpstreamDetector({
    onStandStill: () => told.push('close'),
    onSlow: () => told.push('open'),
    onFound: () => told.push('found'),
    onRefused: () => told.push('refused')
  })
  return { told, detector }
}

/** Timers, and the clock of the process, as the test says. */
let nowMs = 0
t.beforeEach(() => {
  nowMs = 1_000
  mock.timers.enable({ apis: ['setTimeout'] })
  mock.method(performance, 'now', () => nowMs)
})
t.afterEach(() => {
  mock.timers.reset()
  mock.restoreAll()
})
function pass(ms: number): void {
  nowMs += ms
  mock.timers.tick(ms)
}

void t.test('a response as soon as the silent connection is closed', t => {
  const { told, detector } = start()
  const connection = {}
  detector.silentOpened()
  detector.requested(connection)
  pass(999)
  t.same(told, [])
  pass(1)
  t.same(told, ['close'])
  detector.silentClosed()
  detector.responded(connection)
  t.same(told, ['close', 'found'])
  t.notOk(detector.undecided)
  detector.silentOpened()
  detector.requested({})
  pass(5_000)
  detector.refused()
  t.same(told, ['close', 'found', 'refused'])
  t.end()
})

void t.test('a response beside the silent connection', t => {
  const { told, detector } = start()
  const [one, two] = [{}, {}]
  detector.silentOpened()
  detector.requested(one)
  detector.requested(two)
  detector.responded(one)
  t.notOk(detector.mayYield)
  pass(100)
  t.notOk(detector.undecided)
  pass(5_000)
  detector.responded(two)
  detector.refused()
  t.same(told, [])
  t.end()
})

void t.test('it proves nothing when the silent connection ends at that moment', t => {
  const { told, detector } = start()
  const one = {}
  detector.silentOpened()
  detector.requested(one)
  detector.responded(one)
  detector.silentClosed()
  pass(100)
  t.ok(detector.undecided)
  detector.silentOpened()
  detector.requested({})
  pass(1_000)
  t.same(told, ['close'])
  t.end()
})

void t.test('connections from before the silent one prove nothing', t => {
  const { told, detector } = start()
  const [before, after] = [{}, {}]
  detector.requested(before)
  detector.silentOpened()
  detector.responded(before)
  detector.requested(after)
  pass(1_000)
  t.same(told, ['close'])
  t.end()
})

void t.test('a slow call; what is served beside it, or its client that leaves, ends the trial', t => {
  const { told, detector } = start()
  for (const end of [() => detector.responded({}), (slow: object) => detector.closed(slow)]) {
    const slow = {}
    detector.silentOpened()
    detector.requested(slow)
    pass(1_000)
    pass(251)
    end(slow)
    t.same(told.splice(0), ['close', 'open'])
    t.ok(detector.undecided)
  }
  t.end()
})

void t.test('who waits for nothing is no stand-still', t => {
  const { told, detector } = start()
  const connection = {}
  detector.silentOpened()
  detector.requested(connection)
  t.notOk(detector.mayYield)
  detector.closed(connection)
  t.ok(detector.mayYield)
  pass(5_000)
  t.same(told, [])
  t.end()
})

void t.test(
  'three stand-stills of slow calls, and nothing that was served beside the silent connection',
  t => {
    const { told, detector } = start()
    for (let i = 0; i < 3; i++) {
      const slow = {}
      detector.silentOpened()
      detector.requested(slow)
      pass(1_000)
      pass(1_000)
      detector.responded(slow)
    }
    t.same(told, ['close', 'open', 'close', 'open', 'close', 'found'])
    t.end()
  }
)
