// Owns `npm run test:restarts`: two proxies behind one socket, restarted in turn under load; nobody may notice.
//
// No request fails but those of legacy sessions whose stream ended with its proxy, standalone streams end in order, and at rest the
// ledger has the sessions that the gateway has.
// Environment: RESTART_MINUTES (10), TEST_SEED.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import { Gateway } from '../support/gateway.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Random } from '../support/random.js'
import { SocketHolder } from '../support/socket-holder.js'
import { type Seen, visit } from './visitor.js'

const VISITORS = 60
/** Until the proxies have told the store everything. */
const REST_MS = 15_000

const runMs = Number(process.env['RESTART_MINUTES'] ?? 10) * 60_000
const random = new Random()
console.log(`seed ${random.seed}, ${runMs / 60_000} minutes`)
const directory = mkdtempSync(join(tmpdir(), 'turnstile-restarts-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
const database = await startDatabase({ own: true })
const databaseUrl = await freshDatabase(database.url)
const gateway = await Gateway.start('gateway-rmcp0')
const holder = await SocketHolder.start(
  ['first', 'second'].map(name => [
    ...['--upstream', gateway.url, '--store', databaseUrl, '--data-dir', join(directory, name)],
    ...['--drain-timeout', '2s', '--session-idle-timeout', '0']
  ])
)
process.on('exit', () => {
  holder.killNow()
  gateway.process.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

const end = new AbortController()
const seen: Seen = { requests: 0, sessions: 0, reopened: 0, legacyEnded: 0, slowestMs: 0, violations: [] }
const visits = Array.from({ length: VISITORS }, (_, i) =>
  visit({ url: holder.url, random: new Random(random.seed + i), seen, end: end.signal })
)
let restarts = 0
for (const until = performance.now() + runMs; performance.now() < until; restarts++)
  await holder.restart(restarts % 2)
end.abort()
await Promise.all(visits)

/** `endpoint id` of all open sessions, as the ledger has them and as the gateway has them. */
async function openSessions(): Promise<[ledger: string[], gateway: string[]]> {
  const url = `${holder.adminUrls[0]}/api/connections/endpoint?limit=5000&start_time=${Date.now()}`
  const response = await fetch(url)
  const rows = (await response.json()) as ConnectionRow[]
  const { endpoints } = await gateway.sessions()
  const live = Object.entries(endpoints).flatMap(([endpointId, { streamable, sse }]) =>
    [...streamable, ...sse].map(id => `${endpointId} ${id}`)
  )
  return [rows.map(row => `${row.endpoint_id} ${row.session_id}`).sort(), live.sort()]
}

for (const until = performance.now() + REST_MS; performance.now() < until; await sleep(500)) {
  const [ledger, live] = await openSessions()
  if (ledger.join() === live.join()) break
}
const [ledger, live] = await openSessions()
for (const key of ledger)
  if (!live.includes(key)) seen.violations.push(`open, but not at the gateway: ${key}`)
for (const key of live)
  if (!ledger.includes(key)) seen.violations.push(`at the gateway, but not open: ${key}`)

await holder.stop()
await gateway.stop()
await database.stop()
for (const violation of seen.violations.slice(0, 100)) console.log(`VIOLATION: ${violation}`)
console.log(
  `${restarts} restarts, ${seen.requests} requests (the slowest took ${seen.slowestMs.toFixed(0)} ms), ${seen.sessions} sessions, ` +
    `${ledger.length} of them open at the end; ${seen.reopened} standalone streams were opened again, ${seen.legacyEnded} legacy streams ended`
)
const failed = seen.violations.length
console.log(`${Math.max(0, seen.requests - failed)} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
