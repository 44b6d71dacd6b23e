// Owns what the parts of the benchmarks share: both ends (compiled, in test/bench/ends), and all proxies in front of an
// upstream at once.
import { fileURLToPath } from 'node:url'
import type { Peer } from '../peers.js'
import { OTHER_CPU, Process, run } from '../processes.js'
import { BODY_BYTES } from '../sizes.js'

/** The columns without a proxy. */
export const DIRECT = 'direct'
export const DIRECT_FRESH = 'direct, fresh connections'

const end = (program: string, ...args: (string | number)[]): string[] => [
  fileURLToPath(new URL(`../../../../test/bench/ends/target/release/${program}`, import.meta.url)),
  ...args.map(String)
]

/** What both ends do while there is nothing to do: one that spins need not be woken by who writes to it. */
export type Idle = 'sleep' | 'spin'

export const startUpstream = (cpu = OTHER_CPU, idle: Idle = 'sleep'): Promise<Process> =>
  Process.start(cpu, end('upstream', BODY_BYTES, idle))

export interface LoadFigures {
  requests: number
  /** Of the load itself. */
  cpuUs: number
}

/** One POST after the other on each connection, tool calls unless `bodyBytes` says how large. Throws where one fails. */
export async function load(
  url: string,
  connections: number,
  durationMs: number,
  { bodyBytes = 0, idle = 'sleep' }: { bodyBytes?: number; idle?: Idle } = {}
): Promise<LoadFigures> {
  const command = end('load', url, connections, durationMs, bodyBytes, idle)
  const figures = await run<LoadFigures & { failures: number }>(OTHER_CPU, command)
  if (figures.failures > 0) throw new Error(`${url}: ${figures.failures} failed requests`)
  return figures
}

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
