// Owns the figures on a real gateway that stalls (test/gateways, rmcp on plain `axum::serve`): a tool call at fixed rates.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Latencies } from '../client.js'
import type { Peer } from '../peers.js'
import { node, OTHER_CPU, Process, run } from '../processes.js'
import type { Report } from '../report.js'
import { DIRECT, DIRECT_FRESH, withPeers } from './set-up.js'

const GATEWAY = fileURLToPath(
  new URL('../../../../test/gateways/target/debug/gateway-rmcp3', import.meta.url)
)
/** Calls a second, and for how many seconds; the first of them are the first that a proxy gets. */
const LOADS = [
  [1, 20],
  [5, 10],
  [50, 5],
  [500, 3]
] as const

export async function measureGateway(report: Report, peers: readonly Peer[]): Promise<void> {
  report.section('Tool call to the rmcp gateway, which stalls')
  if (!existsSync(GATEWAY)) return report.note('The rmcp gateway is missing: npm run gateways.')
  const gateway = await Process.start(OTHER_CPU, [GATEWAY])
  const call = (url: string, rate: number, seconds: number, connections: string): Promise<Latencies> =>
    run(OTHER_CPU, node('./rate.js', `${url}/stream/bench`, rate, seconds, connections))
  await withPeers(peers, gateway.url, async proxies => {
    const ways: [name: string, url: string, connections: string][] = [
      [DIRECT_FRESH, gateway.url, 'fresh'],
      [DIRECT, gateway.url, 'kept'],
      ...[...proxies].map(([name, { url }]): [string, string, string] => [name, url, 'kept'])
    ]
    const port = Number(new URL(gateway.url).port)
    for (const [rate, seconds] of LOADS) {
      const figures = new Map<string, [number, number]>()
      const cpuUs = new Map<string, number>()
      const connectionsUsed = new Map<string, number>()
      for (const [name, url, connections] of ways) {
        const proxy = proxies.get(name)
        const cpuBefore = proxy?.cpuUs() ?? 0
        const { p50Us, p95Us } = await call(url, rate, seconds, connections)
        figures.set(name, [p50Us / 1000, p95Us / 1000])
        if (proxy === undefined) continue
        connectionsUsed.set(name, proxy.connectionsTo(port))
        cpuUs.set(name, (proxy.cpuUs() - cpuBefore) / (rate * seconds))
      }
      report.pairs(`${rate} a second: p50 / p95, ms`, figures, 2)
      report.row('CPU a call, µs', cpuUs)
      report.row('connections to the gateway', connectionsUsed)
    }
  })
  await gateway.stop()
}
