// Owns the figures of the queries over loaded histories: p50 and p95 through the store port, one table a store.
// node dist/test/bench/history/measure.js --store sqlite:/tmp/1m.db --store sqlite:/tmp/10m.db [--days 30] [--only minutes]
import { parseArgs } from 'node:util'
import { DAY_MS } from '../../../src/util/time.js'
import { Random } from '../../support/random.js'
import { isSqlite, storeAt } from './bulk.js'
import { type Case, cases, type Subject } from './cases.js'

const RUNS = 100
/** So many principals are asked for. */
const PRINCIPALS = 1_000

const { values: flags } = parseArgs({
  options: {
    store: { type: 'string', multiple: true, default: [] },
    days: { type: 'string', default: '30' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' }
  }
})

async function subjectOf(url: string): Promise<Subject> {
  const store = storeAt(url)
  const [newest] = await store.connections({ start: 0, end: Date.now(), limit: 1, open: true })
  if (!newest) throw new Error(`${url} holds no open session: load a history first`)
  const random = flags.seed === undefined ? new Random() : new Random(Number(flags.seed))
  const counts = (await store.counts({})).sort((a, b) => b.connectNum - a.connectNum)
  return {
    store,
    random,
    startAt: newest.connectAt - Number(flags.days) * DAY_MS,
    endAt: newest.connectAt,
    endpointIds: counts.map(({ endpointId }) => endpointId),
    principals: (await store.principals({ limit: PRINCIPALS })).map(({ principal }) => principal)
  }
}

const line = (name: string, ...figures: readonly string[]): string =>
  name.padEnd(58) + figures.map(figure => figure.padStart(9)).join('')

async function measure(subject: Subject, { name, goalMs, run }: Case): Promise<string> {
  const tookMs: number[] = []
  let rows = 0
  for (let i = 0; i < RUNS; i++) {
    const startedMs = performance.now()
    rows += await run(subject)
    tookMs.push(performance.now() - startedMs)
  }
  tookMs.sort((a, b) => a - b)
  const [p50, p95, max] = [0.5, 0.95, 1].map(share => tookMs[Math.ceil(share * RUNS) - 1]!.toFixed(1))
  const verdict = Number(p95) <= goalMs ? '' : 'OVER'
  return line(name, String(Math.round(rows / RUNS)), p50!, p95!, max!, String(goalMs), verdict)
}

for (const url of flags.store) {
  const subject = await subjectOf(url)
  const shown = isSqlite(url) ? url : `mysql ${new URL(url).pathname.slice(1)}`
  console.log(`\n${shown}, ${RUNS} runs each, seed ${subject.random.seed}, node ${process.version}`)
  console.log(line('', 'rows', 'p50 ms', 'p95 ms', 'max ms', 'goal ms'))
  for (const one of cases) {
    if (one.name.includes(flags.only)) console.log(await measure(subject, one))
  }
  await subject.store.close()
}
