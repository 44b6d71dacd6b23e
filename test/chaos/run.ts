// Owns `npm run test:chaos`: three proxies, two gateways, one MariaDB, load and faults; the ledger must stay exact.
//
// During the run an independent reader finds counts and roll-ups, of principals and conversations too, equal to the rows in every
// snapshot; so does who asks the admin ports. A consumer of
// /api/events that is killed at random misses and repeats none; replayed, they say what is open. At rest the open
// rows are the gateways' own live sessions, id by id, and each session that a client was told is a row. Three things
// nobody could have told the ledger, and they are accounted for precisely:
// - A session that the gateway opened, but whose answer passed no proxy (which died, or whose client had left): it has
//   no row, and no client may know its id. Listed as never told.
// - A DELETE that ended a session in the gateway, but whose answer passed no proxy: the row stays open, and its client
//   does not know either. It is touched once through a proxy, as its client would do, and must then be closed.
// - The sessions of a gateway that was restarted while the proxy that saw them last was not there: they are touched, too. With
//   all proxies there, they are gone within 10 s; that is checked at the end.
// Environment: CHAOS_MINUTES (10), TEST_SEED.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Random } from '../support/random.js'
import { EventWatch } from './event-watch.js'
import { ExpectedSessions, SSE, STREAMABLE } from './expected-sessions.js'
import { Faults } from './faults.js'
import { type Member, createFleet } from './fleet.js'
import { Gateways } from './gateways.js'
import { Client, type Manner } from './load.js'
import { Asker } from './people.js'
import { Reader } from './reader.js'
import { checkAtRest, checkRestart, checkStop } from './settled-checks.js'

const PROXIES = ['proxy-1', 'proxy-2', 'proxy-3']
const GATEWAYS = ['gateway-1', 'gateway-2']
const VISITORS = 40
const RESIDENTS = 32
/** Of the ten a second that are meant: the database is down at times, and the machine is shared. */
const FEWEST_CHECKS_PER_S = 3
/** Of the five a second that are meant: an admin port whose proxy is frozen does not answer, and asks the same database. */
const FEWEST_ANSWERS_PER_S = 0.5
/** Long enough for everything that rests on chance to have happened. */
const LONG_RUN_MS = 5 * 60_000
const VIOLATIONS_SHOWN = 100
const SESSIONS_SHOWN = 20

const runMs = Number(process.env['CHAOS_MINUTES'] ?? 10) * 60_000
const random = new Random()
const directory = mkdtempSync(join(tmpdir(), 'turnstile-chaos-'))
console.log(`seed ${random.seed}, ${runMs / 60_000} minutes`)
const gateways = await Gateways.start(GATEWAYS)
const fleet: Member[] = []
process.on('exit', () => {
  for (const member of fleet) member.killNow()
  gateways.killNow()
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

const database = await startDatabase({ own: true })
const databaseUrl = await freshDatabase(database.url)
fleet.push(...(await createFleet(PROXIES, { upstream: gateways.upstream, databaseUrl, directory })))
for (const member of fleet) await member.start()
const eventWatch = new EventWatch(
  join(directory, 'events'),
  fleet.map(({ adminUrl }) => adminUrl),
  new Random(random.seed - 2)
)
process.on('exit', () => eventWatch.killNow())
const reader = new Reader(databaseUrl)
reader.start()
const asker = new Asker(fleet)
asker.start()

const expected = new ExpectedSessions()
const loadEnd = new AbortController()
const startedAt = Date.now()
const clients = Array.from({ length: VISITORS + RESIDENTS }, (_, i) => {
  const own = new Random(random.seed + i)
  const manner = i < VISITORS ? () => visitor(own) : () => resident(own, i)
  return new Client(fleet, gateways, own, expected, loadEnd.signal).run(manner)
})
const faults = new Faults(fleet, database, gateways)
await faults.run(runMs, new Random(random.seed - 1))
const readerAtRest = new Reader(databaseUrl)
const afterRestart = await checkRestart(gateways, readerAtRest)
loadEnd.abort()
await Promise.all(clients)
const seconds = (Date.now() - startedAt) / 1000
console.log(`the load ended after ${seconds.toFixed(0)} s`)

const checksUnderLoad = reader.checks
await asker.stop()
const rest = await checkAtRest(fleet, gateways, readerAtRest, expected)
await eventWatch.stop(await readerAtRest.rows())
const afterStop = await checkStop(fleet, gateways, readerAtRest)
await reader.stop()
await readerAtRest.stop()

const counts = [...faults.counts()].sort()
const violations = [
  ...fleet.flatMap(({ crashes }) => crashes),
  ...counts.filter(([, count]) => count === 0).map(([name]) => `never happened: ${name}`),
  ...(runMs >= LONG_RUN_MS && reader.reopened === 0
    ? ['no stream was open again after it had been taken for lost']
    : []),
  ...(checksUnderLoad < seconds * FEWEST_CHECKS_PER_S ? [`only ${checksUnderLoad} checks`] : []),
  ...(asker.checks < seconds * FEWEST_ANSWERS_PER_S ? [`only ${asker.checks} answers of admin ports`] : []),
  ...asker.violations,
  ...reader.violations,
  ...readerAtRest.violations,
  ...rest.violations,
  ...eventWatch.violations,
  ...afterRestart,
  ...afterStop,
  ...expected.violations
]
for (const [name, count] of counts) console.log(`${String(count).padStart(5)} x ${name}`)
show('never told', rest.neverTold)
show('nobody could tell its end, touched', rest.touched)
const streamsLost = fleet.reduce((sum, member) => sum + member.streamsLost, 0)
console.log(`${expected.requests} requests, ${expected.failures} of them without an answer`)
console.log(
  `${rest.rows} rows, ${rest.open} open at rest; ${streamsLost} streams were taken for lost, ${reader.reopened} of them open again`
)
console.log(`${eventWatch.events} events, read by consumers that were killed ${eventWatch.kills} times`)
for (const violation of violations.slice(0, VIOLATIONS_SHOWN)) console.log(`VIOLATION: ${violation}`)
console.log(
  `${violations.length} violations: ${expected.sessions.size} sessions told, ${reader.checks} snapshots checked ` +
    `(${reader.fullChecks} bucket by bucket), ${asker.checks} answers of admin ports in ${seconds.toFixed(0)} s, seed ${random.seed}`
)
await gateways.stop()
await database.stop()
const checked = expected.sessions.size + reader.checks + readerAtRest.checks
console.log(`${Math.max(0, checked - violations.length)} passed, ${violations.length} failed`)
process.exit(violations.length === 0 ? 0 : 1)

function show(what: string, keys: readonly string[]): void {
  for (const key of keys.slice(0, SESSIONS_SHOWN)) console.log(`${what}: ${key}`)
  if (keys.length > SESSIONS_SHOWN) console.log(`${what}: ${keys.length} in all`)
}

/** Comes, uses its session for a while and leaves. */
function visitor(own: Random): Manner {
  return {
    transport: own.chance(0.35) ? SSE : STREAMABLE,
    uses: own.int(0, 6),
    pauseMs: [0, 600],
    persistent: own.chance(0.5)
  }
}

/** Stays as long as its session lives: half of them as long as their stream's proxy. */
function resident(own: Random, i: number): Manner {
  return {
    transport: i % 2 === 0 ? SSE : STREAMABLE,
    uses: own.chance(0.7) ? Infinity : own.int(5, 40),
    pauseMs: [50, 700],
    persistent: true
  }
}
