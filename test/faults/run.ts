// Owns `npm run test:faults`: one proxy, a gateway that fails and restarts, thousands of clients that behave badly, strangers who
// make up sessions, clients and endpoints, a log reader that stops and starts, and a disk that fills and empties.
//
// At the end nothing may be left of it: no crash or unhandled rejection (either ends the process), no error in the log, no
// socket, no timer, and the memory of the start; and forwarding never stood still for more than a second. Environment:
// FAULT_MINUTES (20), FAULT_CLIENTS (2000), FAULT_STRANGERS (200), TEST_SEED.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once, setMaxListeners } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/ports.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'
import { Client, type Tally } from './client.js'
import { type Probed, startProbe } from './probe.js'
import { type ProcessFigures, processFigures } from './process-figures.js'
import { beStrange } from './stranger.js'
import { mayMount, mountDisk, type Seen, weather } from './weather.js'

const CLIENTS = Number(process.env['FAULT_CLIENTS'] ?? 2_000)
const STRANGERS = Number(process.env['FAULT_STRANGERS'] ?? 200)
/** All that the proxy writes, with room to spare while the disk is not filled. */
const DISK_MB = 256
const MAX_ENDPOINTS = 100
/** For which forwarding may stand still. */
const STAND_STILL_MS = 1_000
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
/** A loop of the proxy may be between two of its timers at the first look. */
const BETWEEN_TIMERS = 1

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

let passed = 0
let failed = 0
function check(ok: boolean, name: string): void {
  if (ok) passed++
  else failed++
  console.log(`${ok ? 'ok    ' : 'not ok'} ${name}`)
}

const random = new Random()
console.log(
  `seed ${random.seed}, ${CLIENTS} clients, ${STRANGERS} strangers, ${RUN_MS / 60_000} minutes, ${mayMount ? 'a disk that fills' : 'no disk that fills: only root may mount one'}`
)
const directory = mkdtempSync(join(tmpdir(), 'turnstile-faults-'))
const unmount = mountDisk(directory, DISK_MB)
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
async function load(tally: Tally, durationMs: number): Promise<{ seen: Seen; probed: Probed }> {
  const running = new AbortController()
  setMaxListeners(0, running.signal)
  const port = Number(new URL(turnstile.proxyUrl).port)
  const clients = Array.from({ length: CLIENTS }, () => new Client(port, random, tally, running.signal).run())
  const agent = new Agent({ keepAlive: true, maxSockets: STRANGERS })
  const strangers = Array.from({ length: STRANGERS }, () =>
    beStrange({ port, agent, random, tally }, running.signal)
  )
  const changing = weather({ log: turnstile.process.stdout!, directory, random }, running.signal)
  const stopProbe = startProbe(port, gatewayPort)
  for (const endMs = Date.now() + durationMs; Date.now() < endMs;) {
    await sleep(Math.min(RESTART_EVERY_MS, durationMs / 3))
    await end(gateway)
    await sleep(random.int(0, 1_000))
    gateway = await startGateway()
  }
  running.abort()
  const probed = await stopProbe()
  await Promise.all([...clients, ...strangers])
  agent.destroy()
  const seen = await changing
  await turnstile.shipped()
  return { seen, probed }
}

/** What is left of a load when all that ends by itself has ended. */
async function atRest(): Promise<ProcessFigures> {
  await sleep(SETTLE_MS)
  const proxyPort = Number(new URL(turnstile.proxyUrl).port)
  return await processFigures(turnstile.process.pid!, inspectorPort, [gatewayPort, proxyPort])
}

let gateway = await startGateway()
const timeouts = ['--stall-timeout', '5s', '--head-timeout', '5s', '--upstream-timeout', '8s']
const limits = ['--session-idle-timeout', `${IDLE_TIMEOUT_S}s`, '--max-endpoints', String(MAX_ENDPOINTS)]
const store = `sqlite:${join(directory, 'turnstile.db')}`
const flags = [...timeouts, ...limits, '--store', store]
const turnstile = await Turnstile.start(`http://127.0.0.1:${gatewayPort}`, directory, flags, [
  `--inspect=127.0.0.1:${inspectorPort}`
])
try {
  await load({ done: {}, wrong: {} }, WARM_UP_MS)
  const before = await atRest()
  const tally: Tally = { done: {}, wrong: {} }
  const { seen, probed } = await load(tally, RUN_MS)
  const after = await atRest()
  console.log(JSON.stringify({ before, after, ...tally, ...seen, ...probed }, undefined, 2))

  check(turnstile.process.exitCode === null && turnstile.process.signalCode === null, 'the process lives')
  check(
    (tally.done['answered 200'] ?? 0) + (tally.done['answered 202'] ?? 0) > 0,
    'ordinary requests were answered among the faults'
  )
  check(Object.keys(tally.wrong).length === 0, 'ordinary requests got no answer but their own')
  const errors = turnstile.log.filter(({ level }) => Number(level) >= 50)
  check(errors.length === 0, `no error in the log ${JSON.stringify(errors.slice(0, 3))}`)
  check(after.sockets <= before.sockets, `no socket is left: ${before.sockets} → ${after.sockets}`)
  check(
    after.timers <= before.timers + BETWEEN_TIMERS,
    `no timer is left: ${before.timers} → ${after.timers}`
  )
  check(
    after.memoryBytes <= before.memoryBytes * MEMORY_FACTOR,
    `memory is what it was: ${before.memoryBytes} → ${after.memoryBytes} bytes`
  )
  check(
    probed.worstMs <= STAND_STILL_MS,
    `forwarding never stood still: it took at most ${Math.round(probed.worstMs)} ms longer than the gateway alone`
  )
  check(seen.stops > 0 && (seen.fills > 0 || !mayMount), 'the weather was bad')
  const open = await turnstile.count()
  check(open === 0, `no session is open: ${open}`)
  const endpoints = await turnstile.query<unknown[]>('/api/mcp/endpoints')
  check(endpoints.length <= MAX_ENDPOINTS + 1, `${endpoints.length} endpoints are kept`)
  const sse = await turnstile.query<{ connect_num: number }>('/api/connections/endpoint/count?transport=1')
  check(sse.connect_num === 0, 'no legacy stream is left')
  check((await turnstile.stop()) === 0, 'it ends in order')
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'check', '--store', store], {
    encoding: 'utf8'
  })
  check(status === 0, `counts and series are those of the rows: ${stdout}`)
} catch (error) {
  console.log(error)
  check(false, 'the run came to its end')
} finally {
  await turnstile.kill()
  await end(gateway)
  unmount()
  rmSync(directory, { recursive: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
