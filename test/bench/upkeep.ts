// Owns `npm run bench:upkeep`: what all kinds of upkeep at once cost heartbeats, idle closes and requests.
// The store begins with 150,000 open sessions that are idle at the start, and with millions of old rows and roll-ups to delete.
// node dist/test/bench/upkeep.js [--store sqlite|mysql] [--sessions 2000000] [--open 150000]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { DAY_MS, SECOND_MS } from '../../src/util/time.js'
import { startDatabase } from '../support/mariadb.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'
import { openDatabase } from './history/bulk.js'
import { fill } from './history/fill.js'
import { History } from './history/history.js'
import type { LoadState } from './open-load.js'
import { startUpstream } from './parts/set-up.js'
import { BOTH_CPUS, Helper, node } from './processes.js'

const IDLE_S = 5
const RATE_PER_S = 200
const ROUND_MS = 3_000
const POLL_MS = 50

const { values: flags } = parseArgs({
  options: {
    store: { type: 'string', default: 'mysql' },
    sessions: { type: 'string', default: '2000000' },
    open: { type: 'string', default: '150000' }
  }
})
const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))
const server = flags.store === 'mysql' ? await startDatabase({ own: true }) : undefined
const store = server?.url ?? `sqlite:${join(directory, 'ledger.db')}`
const openSessions = Number(flags.open)
await fill(
  store,
  new History(new Random(1), {
    endedSessions: Number(flags.sessions),
    openSessions,
    principals: 1_000,
    endpoints: 1_000,
    days: 30,
    endAt: Date.now() - 2 * DAY_MS
  }),
  console.log
)

const db = openDatabase(store)
const single = (statement: string): Promise<number> =>
  db.read(async sql => Number(Object.values((await sql.all(statement))[0]!)[0] ?? 0))
const left = async (): Promise<string> => {
  const tables = ['endpoint_logs_v2 WHERE duration_class = -1', 'endpoint_logs_v2', 'endpoint_minutes_v2']
  const counts = []
  for (const table of tables) counts.push(await single(`SELECT COUNT(*) AS n FROM ${table}`))
  return `${counts[0]} open, ${counts[1]} rows, ${counts[2]} minutes`
}
console.log(`at the start: ${await left()}`)

const upstream = await startUpstream()
const turnstile = await Turnstile.start(upstream.url, directory, [
  ...['--store', store, '--session-idle-timeout', `${IDLE_S}s`],
  ...['--retention', '1h', '--rollup-retention', '1h']
])
const load = new Helper<LoadState>(
  BOTH_CPUS,
  node('./open-load.js', `${turnstile.proxyUrl}/stream/bench`, RATE_PER_S)
)
const startedMs = performance.now()
const seconds = (): string => ((performance.now() - startedMs) / SECOND_MS).toFixed(1)

/** The oldest heartbeat and the latest idle close of sessions that the load opened, in ms, since they were last read. */
let oldestHeartbeatMs = 0
let latestIdleMs = 0
let polling = true
async function poll(): Promise<void> {
  const columns = (await db.read(sql => Promise.resolve(sql.dialect))).epochMs
  while (polling) {
    const heartbeatAt = await single(`SELECT ${columns('heartbeat_at')} AS n FROM turnstile_instances`)
    if (heartbeatAt > 0) oldestHeartbeatMs = Math.max(oldestHeartbeatMs, Date.now() - heartbeatAt)
    const lastSeenAt = await single(
      `SELECT MIN(${columns('last_seen_at')}) AS n FROM endpoint_logs_v2 WHERE duration_class = -1 AND endpoint_id = 'bench'`
    )
    if (lastSeenAt > 0) latestIdleMs = Math.max(latestIdleMs, Date.now() - lastSeenAt - IDLE_S * SECOND_MS)
    await sleep(POLL_MS)
  }
}
const polled = poll()
async function round(): Promise<void> {
  await load.ask()
  await sleep(ROUND_MS)
  const { p50Us, p99Us, failures } = await load.ask()
  console.log(
    `${seconds().padStart(7)} s  heartbeat at most ${oldestHeartbeatMs} ms old, idle closes ${latestIdleMs} ms late; ` +
      `p50 ${p50Us} µs, p99 ${p99Us} µs, ${failures} failures`
  )
  oldestHeartbeatMs = latestIdleMs = 0
}
for (;;) {
  await round()
  const state = await left()
  console.log(`           left: ${state}`)
  if (state.endsWith(' 0 minutes')) break
}
console.log('nothing left to do')
for (let i = 0; i < 5; i++) await round()
polling = false
await polled
await load.stop()
await turnstile.stop()
await upstream.stop()
await db.close()
await server?.stop()
rmSync(directory, { recursive: true })
