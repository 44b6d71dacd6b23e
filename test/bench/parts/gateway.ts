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
/** Calls a second, and for how long. */
const LOADS = [
  [5, 10],
  [50, 5],
  [500, 3]
] as const
/** So that a proxy can find out about the stall. */
const WARM_UP = [50, 2] as const

export async function measureGateway(report: Report, peers: readonly Peer[]): Promise<void> {
  report.section('Tool call to the rmcp gateway, which stalls (p50 / p95, ms)')
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
    for (const [, url, connections] of ways) await call(url, ...WARM_UP, connections)
    for (const [rate, seconds] of LOADS) {
      const figures = new Map<string, [number, number]>()
      for (const [name, url, connections] of ways) {
        const { p50Us, p95Us } = await call(url, rate, seconds, connections)
        figures.set(name, [p50Us / 1000, p95Us / 1000])
      }
      report.pairs(`${rate} a second`, figures, 2)
    }
  })
  await gateway.stop()
}
