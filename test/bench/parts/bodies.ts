// Owns the figures of large bodies, up and down.
import type { Peer } from '../peers.js'
import type { Process } from '../processes.js'
import { median, type Report } from '../report.js'
import { BODY_BYTES } from '../sizes.js'
import { DIRECT, load, startUpstream, withPeers } from './set-up.js'

const ROUNDS = 3
const ROUND_MS = 600
const CONNECTIONS = 4

interface Round {
  cpuUs: number
  perS: number
}

async function measure(proxy: Process, path: string, bodyBytes: number): Promise<Round> {
  const before = proxy.cpuUs()
  const from = performance.now()
  const { requests } = await load(proxy.url + path, CONNECTIONS, ROUND_MS, { bodyBytes })
  return {
    cpuUs: (proxy.cpuUs() - before) / requests,
    perS: (requests * 1000) / (performance.now() - from)
  }
}

export async function measureBodies(report: Report, peers: readonly Peer[]): Promise<void> {
  const upstream = await startUpstream()
  await withPeers(peers, upstream.url, async proxies => {
    for (const [what, path, bodyBytes] of [
      ['up', '/stream/upload', BODY_BYTES],
      ['down', '/stream/download', 0]
    ] as const) {
      report.section(`1 MB ${what}, ${CONNECTIONS} connections`)
      const rounds = new Map<string, Round[]>([...proxies.keys(), DIRECT].map(name => [name, []]))
      for (let round = 0; round < ROUNDS; round++) {
        for (const [name, all] of rounds)
          all.push(await measure(proxies.get(name) ?? upstream, path, bodyBytes))
      }
      const of = (figure: keyof Round): Map<string, number> =>
        new Map([...rounds].map(([name, all]) => [name, median(all.map(round => round[figure]))]))
      const cpu = of('cpuUs')
      cpu.delete(DIRECT)
      report.row('CPU a MB, µs', cpu)
      report.row('MB a second', of('perS'))
    }
  })
  await upstream.stop()
}
