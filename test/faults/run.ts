// Owns `npm run test:faults`: one proxy, a gateway that fails and restarts, thousands of clients that behave badly.
//
// At the end nothing may be left of it: no crash or unhandled rejection (either ends the process), no error in the log, no
// socket, no timer, and the memory of the start. Environment: FAULT_MINUTES (20), FAULT_CLIENTS (2000), TEST_SEED.
import { type ChildProcess, spawn } from 'node:child_process'
import { once, setMaxListeners } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/ports.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'
import { Client, type Tally } from './client.js'
import { type ProcessFigures, processFigures } from './process-figures.js'

const CLIENTS = Number(process.env['FAULT_CLIENTS'] ?? 2_000)
const RUN_MS = Number(process.env['FAULT_MINUTES'] ?? 20) * 60_000
/** The same load, so that what is allocated once is there before the first look. */
const WARM_UP_MS = 30_000
const RESTART_EVERY_MS = 60_000
const IDLE_TIMEOUT_S = 20
/**
 * Longer than all time limits of the run, and than a session whose end nobody tells is remembered: until it idles, and how
 * it is reached for up to four idle timeouts and two minutes.
 */
const SETTLE_MS = (4 * IDLE_TIMEOUT_S + 130) * 1_000
const MEMORY_FACTOR = 1.1

let passed = 0
let failed = 0
function check(ok: boolean, name: string): void {
  if (ok) passed++
  else failed++
  console.log(`${ok ? 'ok    ' : 'not ok'} ${name}`)
}

const random = new Random()
console.log(`seed ${random.seed}, ${CLIENTS} clients, ${RUN_MS / 60_000} minutes`)
const directory = mkdtempSync(join(tmpdir(), 'turnstile-faults-'))
const gatewayPort = await freePort()
const inspectorPort = await freePort()

async function startGateway(): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('./gateway.js', import.meta.url))
  const child = spawn(process.execPath, [file, String(gatewayPort)], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** All clients for a time, with the gateway killed now and then; then until nothing of them is left. */
async function load(tally: Tally, durationMs: number): Promise<void> {
  const running = new AbortController()
  setMaxListeners(0, running.signal)
  const clients = Array.from({ length: CLIENTS }, () =>
    new Client(Number(new URL(turnstile.proxyUrl).port), random, tally, running.signal).run()
  )
  for (const endMs = Date.now() + durationMs; Date.now() < endMs;) {
    await sleep(Math.min(RESTART_EVERY_MS, durationMs / 3))
    await end(gateway)
    await sleep(random.int(0, 1_000))
    gateway = await startGateway()
  }
  running.abort()
  await Promise.all(clients)
  await turnstile.shipped()
}

/** What is left of a load when all that ends by itself has ended. */
async function atRest(): Promise<ProcessFigures> {
  await sleep(SETTLE_MS)
  const proxyPort = Number(new URL(turnstile.proxyUrl).port)
  return await processFigures(turnstile.process.pid!, inspectorPort, [gatewayPort, proxyPort])
}

let gateway = await startGateway()
const timeouts = ['--stall-timeout', '5s', '--head-timeout', '5s', '--upstream-timeout', '8s']
const flags = [...timeouts, '--session-idle-timeout', `${IDLE_TIMEOUT_S}s`]
const turnstile = await Turnstile.start(`http://127.0.0.1:${gatewayPort}`, directory, flags, [
  `--inspect=127.0.0.1:${inspectorPort}`
])
try {
  await load({ done: {}, wrong: {} }, WARM_UP_MS)
  const before = await atRest()
  const tally: Tally = { done: {}, wrong: {} }
  await load(tally, RUN_MS)
  const after = await atRest()
  console.log(JSON.stringify({ before, after, ...tally }, undefined, 2))

  check(turnstile.process.exitCode === null && turnstile.process.signalCode === null, 'the process lives')
  check(
    (tally.done['answered 200'] ?? 0) + (tally.done['answered 202'] ?? 0) > 0,
    'ordinary requests were answered among the faults'
  )
  check(Object.keys(tally.wrong).length === 0, 'ordinary requests got no answer but their own')
  const errors = turnstile.log.filter(({ level }) => Number(level) >= 50)
  check(errors.length === 0, `no error in the log ${JSON.stringify(errors.slice(0, 3))}`)
  check(after.sockets <= before.sockets, `no socket is left: ${before.sockets} → ${after.sockets}`)
  check(after.timers <= before.timers, `no timer is left: ${before.timers} → ${after.timers}`)
  check(
    after.memoryBytes <= before.memoryBytes * MEMORY_FACTOR,
    `memory is what it was: ${before.memoryBytes} → ${after.memoryBytes} bytes`
  )
  const sse = await turnstile.query<{ connect_num: number }>('/api/connections/endpoint/count?transport=1')
  check(sse.connect_num === 0, 'no legacy stream is left')
  check((await turnstile.stop()) === 0, 'it ends in order')
} catch (error) {
  console.log(error)
  check(false, 'the run came to its end')
} finally {
  await turnstile.kill()
  await end(gateway)
  rmSync(directory, { recursive: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
