// Owns `npm run test:random`: clients and a gateway that do what is drawn, and an oracle of the documentation for the rows.
// Environment: SECONDS (20), SEED.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionStats } from '../../src/admin/schemas/monitoring-responses.js'
import { type Database, freshDatabase, startDatabase } from '../support/mariadb.js'
import { problemsOfStats } from '../support/people.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'
import { compareAtRest } from './checks.js'
import type { HeldSession } from './held-session.js'
import { LegacyClient } from './legacy-client.js'
import { nuisance } from './nuisance.js'
import { ScriptedGateway } from './scripted-gateway.js'
import { type Setup, Stage } from './stage.js'
import { StreamableClient } from './streamable-client.js'
import { Visitor } from './visitors.js'

const STREAMABLE = 14
const LEGACY = 6
const VISITORS = 6
const NUISANCES = 2
const CHECK_EVERY_MS = 20_000
const PROBLEMS_SHOWN = 20
const ASK_EVERY_MS = 300
/** In which the proxies find out about a restart, ask for one session, then for all. */
const ASKED_AFTER_RETURN_MS = 8_000

const runMs = Number(process.env['SECONDS'] ?? 20) * 1_000
const random = new Random(Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31)))
const setup = drawSetup(random)
console.log(`seed ${random.seed}, ${runMs / 1_000} s, ${JSON.stringify(setup)}`)
const directory = mkdtempSync(join(tmpdir(), 'turnstile-random-'))
const fleet: Turnstile[] = []
process.on('exit', () => {
  for (const { process: proxy } of fleet) proxy.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

const gateway = new ScriptedGateway()
await gateway.start()
let database: Database | undefined
let store: string[] = []
if (setup.store === 'mysql') {
  database = await startDatabase()
  store = ['--store', await freshDatabase(database.url)]
}
const flags = [
  ...['--session-idle-timeout', `${setup.idleMs}ms`, '--trusted-proxy', '127.0.0.1'],
  `--stream-is-use=${setup.streamIsUse}`,
  `--confirm-suspects=${setup.confirms}`,
  `--principals=${setup.principals}`
]
for (const [i, workers] of setup.proxies.entries()) {
  fleet.push(
    await Turnstile.start(gateway.url, join(directory, `proxy-${i}`), [
      ...flags,
      ...store,
      '--workers',
      String(workers)
    ])
  )
}

const startedAt = Date.now()
const stage = new Stage(setup, fleet, gateway)
const own = (i: number): Random => new Random((random.seed + 7_919 * i) | 0)
/** The sessions that the gateway has, until it restarts. */
let held: HeldSession[] = []
const actors = [
  ...Array.from({ length: STREAMABLE }, (_, i) => {
    const chance = own(i)
    return stage.run(() => new StreamableClient(stage, chance, one => held.push(one)).live())
  }),
  ...Array.from({ length: LEGACY }, (_, i) => {
    const chance = own(100 + i)
    return stage.run(() => new LegacyClient(stage, chance).live())
  }),
  ...Array.from({ length: VISITORS }, (_, i) => {
    const chance = own(200 + i)
    return stage.run(() => new Visitor(stage, chance).live())
  }),
  ...Array.from({ length: NUISANCES }, (_, i) => {
    const chance = own(300 + i)
    return stage.run(async () => {
      await nuisance(stage, chance)
      await stage.turn(chance.int(50, 500))
    })
  })
]

let compared = 0
const problems: string[] = []
let snapshots = 0
/** The numbers of one moment must agree at any moment. */
const asking = setInterval(() => {
  void fleet[snapshots % fleet.length]!.query<ConnectionStats>('/api/mcp/connections?limit=10000')
    .then(stats => {
      snapshots++
      problems.push(...problemsOfStats(stats))
    })
    .catch((error: unknown) => problems.push(String(error)))
}, ASK_EVERY_MS)
const deadline = Date.now() + runMs
for (let round = 1; problems.length === 0 && Date.now() < deadline; round++) {
  await sleep(Math.min(CHECK_EVERY_MS, runMs / 2) * random.next())
  if (random.chance(0.6)) await restart(random.chance(0.6), random.int(0, 1_500))
  await sleep(Math.min(CHECK_EVERY_MS, runMs / 2) * random.next())
  await stage.pause()
  const outcome = await compareAtRest(stage, startedAt)
  compared += outcome.compared
  problems.push(...outcome.problems, ...stage.violations)
  console.log(
    `round ${round}: ${stage.requests} requests, ${stage.sessions.length} sessions, ${stage.visitors.length} visitors, ${outcome.open} open, ${outcome.problems.length} problems`
  )
  stage.resume()
}
clearInterval(asking)
stage.end()
for (const problem of problems.slice(0, PROBLEMS_SHOWN)) console.log(`PROBLEM: ${problem}`)
await Promise.race([Promise.all(actors), sleep(15_000)])
for (const turnstile of fleet) {
  const code = await turnstile.stop()
  if (code !== 0) problems.push(`a proxy ended with ${code}`)
}
await database?.stop()
console.log(`seed ${random.seed}, ${snapshots} snapshots`)
console.log(`${compared + snapshots} passed, ${problems.length} failed`)
process.exit(problems.length === 0 ? 0 : 1)

/** The gateway goes away and comes back, with or without its sessions. */
async function restart(forgetful: boolean, downMs: number): Promise<void> {
  const before = held
  held = []
  if (forgetful) for (const one of before) one.forgotten = true
  await gateway.stop()
  await sleep(downMs)
  const at = Date.now()
  await gateway.start()
  for (const { expected } of before) {
    if (forgetful && setup.confirms) expected.add('suspect', at, at, ASKED_AFTER_RETURN_MS)
    else expected.add('unsuspect', at, at)
  }
  if (!forgetful) held.push(...before)
  console.log(
    `the gateway was away for ${Date.now() - at + downMs} ms${forgetful ? ' and forgot its sessions' : ''}`
  )
}

function drawSetup(chance: Random): Setup {
  const store = chance.pick(['sqlite', 'mysql'] as const)
  const proxies =
    store === 'sqlite'
      ? [chance.int(1, 2)]
      : Array.from({ length: chance.int(1, 3) }, () => (chance.chance(0.25) ? 2 : 1))
  return {
    store,
    proxies,
    idleMs: chance.pick([0, 3_000, 5_000]),
    streamIsUse: chance.chance(0.7),
    confirms: chance.chance(0.8),
    principals: chance.weighted([
      [7, 'plain'],
      [2, 'hashed'],
      [1, 'off']
    ] as const)
  }
}
