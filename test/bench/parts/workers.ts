// Owns the figure of several workers: the throughput that two CPUs allow them, in parts of what one CPU allows one.
//
// Load and upstream need CPUs too, so it is not the throughput seen here but what follows from the CPU time of a request:
// that of all processes together, over two CPUs.
import { startThis, THIS } from '../peers.js'
import { BOTH_CPUS, type Process } from '../processes.js'
import { median, type Report } from '../report.js'
import { load, startUpstream } from './set-up.js'

const ROUNDS = 5
const ROUND_MS = 2_000
const WARM_UP_MS = 6_000
const CONNECTIONS = 32
const PATH = '/stream/json'

export async function measureWorkers(report: Report): Promise<void> {
  report.section(`POST → JSON, ${CONNECTIONS} connections, --workers 2`)
  const upstream = await startUpstream()
  const one = await startThis(upstream.url, [], BOTH_CPUS)
  const two = await startThis(upstream.url, ['--workers', '2'], BOTH_CPUS)
  await load(one.url + PATH, CONNECTIONS, WARM_UP_MS)
  await load(two.url + PATH, CONNECTIONS, 2 * WARM_UP_MS)
  const gains: number[] = []
  for (let round = 0; round < ROUNDS; round++) gains.push((2 * (await cpuUsOf(one))) / (await cpuUsOf(two)))
  report.row('throughput of one without', new Map([[THIS, median(gains)]]), 2)
  await one.stop()
  await two.stop()
  await upstream.stop()
}

/** A request's, all processes together. */
async function cpuUsOf(proxy: Process): Promise<number> {
  const total = (): number => proxy.childrenCpuUs().reduce((sum, cpuUs) => sum + cpuUs, proxy.cpuUs())
  const before = total()
  const { requests } = await load(proxy.url + PATH, CONNECTIONS, ROUND_MS)
  return (total() - before) / requests
}
