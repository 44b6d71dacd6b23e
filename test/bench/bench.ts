// Owns `npm run bench`: CPU time a proxied request, this proxy and its peers in turn, each pinned to one CPU of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { measureFirstEvent } from './first-event.js'

const ROUNDS = 5
const ROUND_MS = 4_000
const CONNECTIONS = 32
/** The proxy under test has this CPU for itself; upstream and load share the other. */
const PROXY_CPU = '1'
const OTHER_CPU = '0'
/** Linux: USER_HZ, the unit of /proc/PID/stat. */
const TICK_US = 10_000

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))

interface Peer {
  name: string
  /** Arguments of node. */
  command: (upstream: string) => string[]
}

const peers: Peer[] = [
  {
    name: 'mcp-turnstile',
    command: upstream => {
      const data = ['--data-dir', directory, '--store', `sqlite:${directory}/turnstile.db`]
      return [
        file('../../src/main.js'),
        '--upstream',
        upstream,
        '--listen',
        '127.0.0.1:0',
        '--admin',
        '127.0.0.1:0',
        ...data
      ]
    }
  },
  { name: 'http-proxy', command: upstream => [file('./peer-http-proxy.js'), upstream] }
]

/** Starts node on one CPU; resolves with the URL in its first line that has one. */
async function startNode(cpu: string, args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn('taskset', ['-c', cpu, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  for await (const line of createInterface(child.stdout)) {
    const url = /"proxyUrl":"([^"]+)"/.exec(line)?.[1] ?? /^http\S+$/.exec(line)?.[0]
    if (url !== undefined) {
      child.stdout.resume()
      return { child, url }
    }
  }
  throw new Error(`${args[0]} ended before it listened`)
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

/** CPU time of a process, all threads, user and system, in µs. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

interface Figures {
  cpuUsPerRequest: number
  p50Us: number
  p99Us: number
  requestsPerS: number
}

async function measure(peer: Peer, upstream: string): Promise<Figures> {
  const { child, url } = await startNode(PROXY_CPU, peer.command(upstream))
  await load(url, ROUND_MS / 4)
  const before = cpuUs(child.pid!)
  const [requests, failures, p50Us, p99Us] = await load(url, ROUND_MS)
  const spent = cpuUs(child.pid!) - before
  await stop(child)
  if (failures! > 0) throw new Error(`${peer.name}: ${failures} failed requests`)
  return {
    cpuUsPerRequest: spent / requests!,
    p50Us: p50Us!,
    p99Us: p99Us!,
    requestsPerS: requests! / (ROUND_MS / 1000)
  }
}

async function load(url: string, durationMs: number): Promise<number[]> {
  const args = [
    '-c',
    OTHER_CPU,
    process.execPath,
    file('./load.js'),
    `${url}/stream/bench`,
    String(CONNECTIONS),
    String(durationMs)
  ]
  const child = spawn('taskset', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  return output.trim().split(' ').map(Number)
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

if (cpus().length < 2) throw new Error('the benchmarks need two CPUs')
const upstream = await startNode(OTHER_CPU, [file('./upstream.js')])
const results = new Map<string, Figures[]>(peers.map(peer => [peer.name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const peer of peers) results.get(peer.name)!.push(await measure(peer, upstream.url))
}
await stop(upstream.child)
const firstEvent = await measureFirstEvent(async upstreamUrl => {
  const { child, url } = await startNode(PROXY_CPU, peers[0]!.command(upstreamUrl))
  return { url, stop: () => stop(child) }
})
rmSync(directory, { recursive: true })

console.log(
  `POST → JSON, ${CONNECTIONS} connections, accounting on, median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s, node ${process.version}`
)
const reference = median(results.get('http-proxy')!.map(figures => figures.cpuUsPerRequest))
for (const [name, rounds] of results) {
  const of = (figure: keyof Figures): number => median(rounds.map(round => round[figure]))
  const cpu = of('cpuUsPerRequest')
  console.log(
    `${name.padEnd(15)} ${cpu.toFixed(1).padStart(6)} µs CPU a request  ${(cpu / reference).toFixed(2)} of http-proxy  ` +
      `p50 ${of('p50Us')} µs  p99 ${of('p99Us')} µs  ${Math.round(of('requestsPerS'))} requests/s`
  )
}
console.log(
  `first SSE event through ${peers[0]!.name}: p50 ${firstEvent.p50Us} µs, p99 ${firstEvent.p99Us} µs, max ${firstEvent.maxUs} µs after its write`
)
