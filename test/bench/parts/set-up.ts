// Owns what the parts of the benchmarks share: the synthetic upstream, and all proxies in front of an upstream at once.
import type { Peer } from '../peers.js'
import { node, OTHER_CPU, Process } from '../processes.js'

/** The columns without a proxy. */
export const DIRECT = 'direct'
export const DIRECT_FRESH = 'direct, fresh connections'

export const startUpstream = (cpu = OTHER_CPU): Promise<Process> => Process.start(cpu, node('./upstream.js'))

/** Runs `work` with the proxies by name; they are stopped behind it. An idle one costs the others nothing. */
export async function withPeers(
  peers: readonly Peer[],
  upstream: string,
  work: (proxies: ReadonlyMap<string, Process>) => Promise<void>
): Promise<void> {
  const proxies = new Map<string, Process>()
  for (const { name, start } of peers) proxies.set(name, await start(upstream))
  await work(proxies)
  for (const proxy of proxies.values()) await proxy.stop()
}
