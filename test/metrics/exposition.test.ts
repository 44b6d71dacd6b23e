// Owns how the figures of several processes become one: sums that never fall, whatever happens to a process.
import t from 'tap'
import { Exposition, type Snapshot } from '../../src/metrics/exposition.js'
import { counter, gauge, sample } from '../../src/metrics/metric.js'
import { Scrape } from '../support/scrape.js'

const snapshot = (process: string, count: number, endpoint = 'e'): Snapshot => ({
  process,
  metrics: [
    counter('done_total', 'Done.', [sample(count, { endpoint })]),
    gauge('open', 'Open.', count),
    gauge('lag', 'Lag.', count, 'max'),
    gauge('up', 'Up.', count > 0 ? 1 : 0, 'min'),
    {
      name: 'took_seconds',
      help: 'Took.',
      bounds: [1, 2],
      series: [{ labels: {}, counts: [count, 0, 1], sum: 5 }]
    }
  ]
})

const read = async (exposition: Exposition, ...snapshots: (Snapshot | undefined)[]): Promise<Scrape> =>
  new Scrape(await exposition.text(snapshots, [gauge('own', 'Own.', 7)]))

void t.test('counts are added, gauges as each says', async t => {
  const scrape = await read(new Exposition(), snapshot('a', 3), snapshot('b', 0))
  t.equal(scrape.value('done_total', { endpoint: 'e' }), 3)
  t.equal(scrape.value('open'), 3)
  t.equal(scrape.value('lag'), 3)
  t.equal(scrape.value('up'), 0)
  t.equal(scrape.value('own'), 7)
  t.equal(scrape.value('took_seconds_bucket', { le: '2' }), 3)
  t.equal(scrape.value('took_seconds_bucket', { le: '+Inf' }), 5)
  t.equal(scrape.value('took_seconds_count'), 5)
})

void t.test('a process that dies or is silent takes its gauges along, not its counts', async t => {
  const exposition = new Exposition()
  const counts = async (...snapshots: (Snapshot | undefined)[]) => {
    const scrape = await read(exposition, ...snapshots)
    return ['done_total', 'took_seconds_count', 'open'].map(name => scrape.value(name))
  }
  t.same(await counts(snapshot('a', 3), snapshot('b', 4)), [7, 9, 7])
  t.same(await counts(snapshot('a', 5), undefined), [9, 11, 5], 'silent')
  t.same(await counts(snapshot('a', 5), snapshot('b', 6)), [11, 13, 11], 'back again')
  t.same(await counts(snapshot('a', 5), snapshot('c', 1)), [12, 15, 6], 'dead, another in its place')
  t.same(await counts(snapshot('a', 5), snapshot('c', 2)), [13, 16, 7])
  t.same(await counts(snapshot('a', 5), undefined), [13, 16, 5])
  t.same(await counts(snapshot('a', 5), snapshot('d', 1)), [14, 18, 6], 'and another')
  t.same(await counts(undefined, undefined), [14, 18, undefined])
})

void t.test('endpoints of all processes together are bounded, and those above are one', async t => {
  const exposition = new Exposition()
  exposition.endpoints.add('first')
  const snapshots = Array.from({ length: 150 }, (_, i) => snapshot(`p${i}`, 1, `e"${i}\\`))
  const scrape = await read(exposition, ...snapshots, snapshot('p', 1, 'first'), snapshot('q', 1, 'other'))
  t.equal(scrape.samples('done_total').length, 101)
  t.equal(scrape.value('done_total', { endpoint: 'first' }), 1)
  t.equal(scrape.value('done_total', { endpoint: 'e"0\\' }), 1)
  t.equal(scrape.value('done_total', { endpoint: 'other' }), 52)
})
