// Owns the figures of small requests on a synthetic upstream: CPU time a request, latency at a low rate, the first event.
import type { Latencies } from '../client.js'
import { measureFirstEvent } from '../first-event.js'
import { HTTP_PROXY, NGINX, type Peer, THIS } from '../peers.js'
import { node, OTHER_CPU, type Process, run } from '../processes.js'
import { median, type Report } from '../report.js'
import { DIRECT, type Idle, load, startUpstream, withPeers } from './set-up.js'

const ROUNDS = 5
const ROUND_MS = 1_000
const WARM_UP_MS = 500
/** Then all of a proxy's code is compiled. */
const WARM_UP_REQUESTS = 20_000
const WARM_UP_AT_MOST_MS = 10_000
const CONNECTIONS = 32
const RATE = 200
const RATE_SECONDS = 4

interface Round {
  cpuUs: number
  contextSwitches: number
  readsAndWrites: number
  /** Parts of the time that the proxy, and that upstream and load together, had a CPU. */
  proxyBusy: number
  otherBusy: number
}

async function warmUp(proxy: Process, path: string): Promise<void> {
  const until = performance.now() + WARM_UP_AT_MOST_MS
  for (let requests = 0; requests < WARM_UP_REQUESTS && performance.now() < until;) {
    requests += (await load(proxy.url + path, CONNECTIONS, WARM_UP_MS)).requests
  }
}

async function measure(proxy: Process, upstream: Process, path: string, idle: Idle): Promise<Round> {
  const before = [proxy.cpuUs(), proxy.counters(), upstream.cpuUs()] as const
  const figures = await load(proxy.url + path, CONNECTIONS, ROUND_MS, { idle })
  const spentUs = proxy.cpuUs() - before[0]
  const counters = proxy.counters()
  const otherUs = upstream.cpuUs() - before[2] + figures.cpuUs
  return {
    cpuUs: spentUs / figures.requests,
    contextSwitches: (counters.contextSwitches - before[1].contextSwitches) / figures.requests,
    readsAndWrites: (counters.readsAndWrites - before[1].readsAndWrites) / figures.requests,
    proxyBusy: spentUs / (ROUND_MS * 1000),
    otherBusy: otherUs / (ROUND_MS * 1000)
  }
}

export async function measureCpu(report: Report, peers: readonly Peer[]): Promise<void> {
  await measureRequests(report, peers, 'spin')
  await measureRequests(report, peers, 'sleep')
  await measureLatency(report, peers)
}

/** Ends that sleep must be woken by whoever writes to them: what that costs is theirs in truth, and is no part of it where they spin. */
async function measureRequests(report: Report, peers: readonly Peer[], idle: Idle): Promise<void> {
  const upstream = await startUpstream(OTHER_CPU, idle)
  await withPeers(peers, upstream.url, async proxies => {
    for (const [what, path] of [
      ['JSON', '/stream/json'],
      ['SSE of two events', '/stream/events']
    ] as const) {
      report.section(`POST → ${what}, ${CONNECTIONS} connections, accounting on; ends that ${idle}`)
      const rounds = new Map<string, Round[]>([...proxies.keys()].map(name => [name, []]))
      for (const proxy of proxies.values()) await warmUp(proxy, path)
      for (let round = 0; round < ROUNDS; round++) {
        for (const [name, proxy] of proxies)
          rounds.get(name)!.push(await measure(proxy, upstream, path, idle))
      }
      const of = (figure: keyof Round): Map<string, number> =>
        new Map([...rounds].map(([name, all]) => [name, median(all.map(round => round[figure]))]))
      const cpu = of('cpuUs')
      report.row('CPU a request, µs', cpu, 1)
      report.ratio(`of ${HTTP_PROXY}`, cpu, HTTP_PROXY)
      report.ratio(`of ${NGINX}`, cpu, NGINX)
      report.row('context switches a request', of('contextSwitches'), 2)
      report.row('reads and writes a request (without recv, send)', of('readsAndWrites'), 2)
      if (idle === 'sleep') noteLimits(report, what, of('proxyBusy'), of('otherBusy'))
    }
  })
  await upstream.stop()
}

async function measureLatency(report: Report, peers: readonly Peer[]): Promise<void> {
  const upstream = await startUpstream()
  await withPeers(peers, upstream.url, async proxies => {
    report.section(`POST → JSON, ${RATE} a second`)
    const latencies = new Map<string, Latencies>()
    for (const [name, url] of [[DIRECT, upstream.url], ...[...proxies].map(([n, p]) => [n, p.url])] as [
      string,
      string
    ][]) {
      latencies.set(
        name,
        await run(OTHER_CPU, node('./rate.js', `${url}/stream/json`, RATE, RATE_SECONDS, 'kept'))
      )
    }
    report.pairs(
      'p50 / p99, ms',
      new Map([...latencies].map(([name, { p50Us, p99Us }]) => [name, [p50Us / 1000, p99Us / 1000]])),
      2
    )
  })
  await upstream.stop()

  report.section('First event of a stream, from its write to its read')
  const peer = peers.filter(({ name }) => name === THIS || name === HTTP_PROXY || name === NGINX)
  const delays = new Map<string, [number, number]>()
  for (const { name, start } of peer) {
    const { p50Us, p99Us } = await measureFirstEvent(start)
    delays.set(name, [p50Us / 1000, p99Us / 1000])
  }
  report.pairs('p50 / p99, ms', delays, 2)
}

/** Where upstream and load had less rest than the proxy, they were what limited it. */
function noteLimits(
  report: Report,
  what: string,
  proxy: ReadonlyMap<string, number>,
  other: ReadonlyMap<string, number>
): void {
  const percent = (part: number): number => part * 100
  report.pairs(
    'busy: proxy / upstream and load, %',
    new Map([...proxy].map(([name, busy]) => [name, [percent(busy), percent(other.get(name)!)]]))
  )
  const limited = [...proxy].filter(([name, busy]) => other.get(name)! > busy).map(([name]) => name)
  if (limited.length > 0)
    report.note(
      `POST → ${what}: upstream and load, not the proxy, were the bottleneck of ${limited.join(', ')}.`
    )
}
