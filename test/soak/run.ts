// Owns `npm run test:soak`: 2,000 clients that come and go in every way through a proxy to each rmcp gateway, whose own
// session lists the counts must follow; and a proxy whose memory does not grow.
// Environment: SOAK_MINUTES (30), SOAK_CLIENTS (2000), TEST_SEED.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Gateway } from '../support/gateway.js'
import { heapUsedBytes } from '../support/inspector.js'
import { freePort } from '../support/ports.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'
import { Reconciler } from './reconciler.js'
import { KEEP_ALIVE_MS, manners } from './visit.js'

const CROWDS = 8
const POLL_EVERY_MS = 500
/** One crowd is killed and another comes. */
const KILL_EVERY_MS = 10_000
const MEMORY_BASE_MS = 5 * 60_000
const MEMORY_GROWTH = 1.1
const REST_TIMEOUT_MS = KEEP_ALIVE_MS + 10_000
const SHOWN = 50
const VISITORS = fileURLToPath(new URL('./visitors.js', import.meta.url))

interface Stage {
  reconciler: Reconciler
  turnstile: Turnstile
  inspectorPort: number
}

/** Bytes. */
interface Memory {
  heap: number
  resident: number
}

const clients = Number(process.env['SOAK_CLIENTS'] ?? 2_000)
const runMs = Number(process.env['SOAK_MINUTES'] ?? 30) * 60_000
const random = new Random()
console.log(`seed ${random.seed}, ${runMs / 60_000} minutes`)
const directory = mkdtempSync(join(tmpdir(), 'turnstile-soak-'))
const children: ChildProcess[] = []
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

let passed = 0
let failed = 0
const check = (holds: boolean, what: string): void => {
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}`)
  if (holds) passed++
  else failed++
}

const told = new Set<string>()
const complaints: string[] = []
const names = Object.keys(manners) as (keyof typeof manners)[]
const stages = await Promise.all(names.map(start))
const urls = JSON.stringify(
  Object.fromEntries(stages.map(({ turnstile }, i) => [names[i], turnstile.proxyUrl]))
)
const crowds = Array.from({ length: CROWDS }, startCrowd)

const startedAt = Date.now()
let killAt = startedAt + KILL_EVERY_MS
let base: Memory[] | undefined
let most = 0
while (Date.now() < startedAt + runMs) {
  const polled = await Promise.all(stages.map(({ reconciler }) => reconciler.poll()))
  most = Math.max(
    most,
    polled.reduce((sum, { live }) => sum + live, 0)
  )
  if (!base && Date.now() - startedAt > Math.min(MEMORY_BASE_MS, runMs / 6)) base = await memory()
  if (Date.now() > killAt) {
    killAt += KILL_EVERY_MS
    crowds.shift()!.kill('SIGKILL')
    crowds.push(startCrowd())
  }
  await sleep(POLL_EVERY_MS)
}
const end = await memory()
for (const crowd of crowds) crowd.kill('SIGKILL')

await Promise.all(
  stages.map(async ({ reconciler }) => {
    const deadline = Date.now() + REST_TIMEOUT_MS
    let last = await reconciler.poll()
    while (Date.now() < deadline && (last.live > 0 || !last.agree)) {
      await sleep(POLL_EVERY_MS)
      last = await reconciler.poll()
    }
    check(
      last.live === 0 && last.agree,
      `${reconciler.name}: at rest the gateway has ${last.live}, and the proxy ${last.agree ? 'the same' : 'others'}`
    )
    const outcome = Object.entries(await reconciler.outcome())
    console.log(`    ${outcome.map(([reason, count]) => `${count} ${reason}`).join(', ')}`)
  })
)
for (const { reconciler } of stages) {
  const { polls, greatest, longestMs, violations, name } = reconciler
  check(
    violations.length === 0,
    `${name}: ${polls} polls, the counts at most ${greatest} apart, a session ${longestMs} ms`
  )
  for (const violation of violations.slice(0, SHOWN)) console.log(`    ${violation}`)
}
check(complaints.length === 0, 'every visit went as it should')
for (const complaint of complaints.slice(0, SHOWN)) console.log(`    ${complaint}`)
check(most > clients / 2, `up to ${most} sessions at once`)

stages.forEach(({ reconciler: { name } }, i) => {
  for (const kind of ['heap', 'resident'] as const) {
    const [before, after] = [base![i]![kind], end[i]![kind]]
    check(after <= before * MEMORY_GROWTH, `${name}: ${kind} ${mb(before)}, at the end ${mb(after)}`)
  }
})
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

async function start(name: keyof typeof manners): Promise<Stage> {
  const gateway = await Gateway.start(name, ['--keep-alive', String(KEEP_ALIVE_MS / 1000)])
  children.push(gateway.process)
  const inspectorPort = await freePort()
  const turnstile = await Turnstile.start(
    gateway.url,
    join(directory, name),
    ['--session-idle-timeout', `${KEEP_ALIVE_MS}ms`],
    [`--inspect=127.0.0.1:${inspectorPort}`]
  )
  children.push(turnstile.process)
  return { reconciler: new Reconciler(name, gateway, turnstile, told), turnstile, inspectorPort }
}

function startCrowd(): ChildProcess {
  const seed = String(random.int(0, 2 ** 31))
  const crowd = spawn(process.execPath, [VISITORS, String(clients / CROWDS), seed, urls], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  children.push(crowd)
  createInterface(crowd.stdout).on('line', line => {
    if (line.startsWith('told ')) told.add(line.slice('told '.length))
    else complaints.push(line)
  })
  return crowd
}

/** Of each proxy, after a garbage collection. */
async function memory(): Promise<Memory[]> {
  return await Promise.all(
    stages.map(async ({ turnstile, inspectorPort }) => {
      const heap = await heapUsedBytes(inspectorPort)
      const status = readFileSync(`/proc/${turnstile.process.pid!}/status`, 'utf8')
      return { heap, resident: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024 }
    })
  )
}

function mb(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`
}
