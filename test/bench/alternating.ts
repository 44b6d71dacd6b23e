// Owns the comparison of quiet and disturbed rounds: p99 of proxied requests at a fixed rate, in turn in one run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROUNDS = 7
const ROUND_MS = 7_000
const WARM_UP_MS = 3_000
/** Far below what the proxy can do: latency is asked for, not throughput. */
const RATE_PER_S = 300
const GOAL_PERCENT = 10

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** The synthetic upstream, as a process of its own. */
export async function startUpstream(): Promise<{ url: string; stop: () => void }> {
  const child = spawn(process.execPath, [file('./upstream.js')], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { url, stop: () => child.kill() }
}

/** `disturb` begins a disturbance and answers what ends it. */
export async function compare(
  title: string,
  proxyUrl: string,
  disturb: () => Promise<() => Promise<void>>
): Promise<void> {
  await load(proxyUrl, WARM_UP_MS)
  const quiet: Figures[] = []
  const disturbed: Figures[] = []
  for (let round = 0; round < ROUNDS; round++) {
    quiet.push(await load(proxyUrl, ROUND_MS))
    const end = await disturb()
    disturbed.push(await load(proxyUrl, ROUND_MS))
    await end()
  }
  const p50 = [quiet, disturbed].map(rounds => median(rounds.map(({ p50Us }) => p50Us)))
  const p99 = [quiet, disturbed].map(rounds => median(rounds.map(({ p99Us }) => p99Us)))
  const change = (p99[1]! / p99[0]! - 1) * 100
  console.log(
    `${title}: p99 ${p99[0]} µs → ${p99[1]} µs, ${change.toFixed(1)} % (goal: ${GOAL_PERCENT} % at most${change <= GOAL_PERCENT ? '' : ', OVER'}); ` +
      `p50 ${p50[0]} µs → ${p50[1]} µs; medians of ${ROUNDS} rounds of ${ROUND_MS / 1000} s each way, ${RATE_PER_S} requests/s`
  )
  const each = quiet.map(({ p99Us }, i) => `${p99Us} → ${disturbed[i]!.p99Us}`)
  console.log(`  p99 of each round, µs: ${each.join(', ')}`)
}

interface Figures {
  p50Us: number
  p99Us: number
}

async function load(proxyUrl: string, durationMs: number): Promise<Figures> {
  const args = [file('./open-load.js'), `${proxyUrl}/stream/bench`, String(RATE_PER_S), String(durationMs)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const [, failures, p50Us, p99Us] = line.split(' ').map(Number) as [number, number, number, number]
  if (failures > 0) throw new Error(`${failures} failed requests`)
  return { p50Us, p99Us }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!
