// Owns `npm run bench:queries -- --store …`: what queries back to back cost proxied requests. The store holds a history made
// by load.js; the proxy upgrades it and writes to it, so give a copy of what must stay as it is.
import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { floorTo } from '../../../src/ledger/model/rollup.js'
import { DAY_MS, MINUTE_MS } from '../../../src/util/time.js'
import { Random } from '../../support/random.js'
import { type ConnectionJson, type SeriesPointJson, Turnstile } from '../../support/turnstile.js'
import { compare } from '../alternating.js'
import { startUpstream } from '../parts/set-up.js'
import { PROXY_CPU } from '../processes.js'

const HOUR_MS = 60 * MINUTE_MS

const { values: flags } = parseArgs({ options: { store: { type: 'string' }, seed: { type: 'string' } } })
if (flags.store === undefined)
  throw new Error('--store is missing: sqlite:FILE or mysql://user:password@host:port/database')

const random = flags.seed === undefined ? new Random() : new Random(Number(flags.seed))
const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))
const upstream = await startUpstream(PROXY_CPU)
const turnstile = await Turnstile.start(upstream.url, directory, [
  '--store',
  flags.store,
  // The history's open sessions stay open.
  '--session-idle-timeout',
  '0'
])

const [newest] = await turnstile.query<ConnectionJson[]>('/api/connections/endpoint?start_time=0&limit=1')
if (!newest) throw new Error('the store is empty: load a history first')
const endAt = floorTo(Date.parse(newest.connect_at), DAY_MS)
const points = await turnstile.query<SeriesPointJson[]>(
  `/api/connections/time-series?start_time=${endAt}&end_time=${endAt}`
)
const endpointIds = points.map(point => point.endpoint_id)

const range = (from: number, lengthMs: number): string => `start_time=${from}&end_time=${from + lengthMs}`
const daysAgo = (days: number): number =>
  floorTo(endAt - days * DAY_MS + random.int(0, 20 * HOUR_MS), MINUTE_MS)
const series = '/api/connections/time-series'

/** The queries that have a goal of their own, in turn. */
const queries: readonly (() => string)[] = [
  () =>
    `/api/connections/endpoint?endpoint_id=${random.pick(endpointIds)}&${range(daysAgo(random.int(1, 28)), HOUR_MS)}`,
  () => `/api/connections/endpoint/count?endpoint_id=${random.pick(endpointIds)}`,
  () => '/api/connections/endpoint/count',
  () => `${series}?endpoint_id=${random.pick(endpointIds)}&${range(daysAgo(random.int(2, 28)), DAY_MS)}`,
  () => `${series}?endpoint_id=${random.pick(endpointIds)}&${range(daysAgo(29), 28 * DAY_MS)}`,
  () => `${series}?${range(daysAgo(28), HOUR_MS)}`
]

/** Reads an answer to its end, and makes nothing of it. */
const ask = (path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    get(`${turnstile.adminUrl}${path}`, response => {
      if (response.statusCode !== 200) reject(new Error(`${response.statusCode} for ${path}`))
      response.resume().once('close', resolve)
    }).once('error', reject)
  })

let asked = 0
await compare(`${flags.store.split(':', 1)[0]}: quiet → queries`, turnstile, () => {
  let ends = false
  const asking = (async () => {
    while (!ends) await ask(queries[asked++ % queries.length]!())
  })()
  return Promise.resolve(async () => {
    ends = true
    await asking
  })
})
console.log(`  ${asked} queries in all, seed ${random.seed}`)
await turnstile.stop()
await upstream.stop()
rmSync(directory, { recursive: true })
