// Owns the comparison of quiet and disturbed rounds: p99 of proxied requests at a fixed rate, in turn in one run. The path of
// a request (load, the proxy's main thread, upstream) has one CPU; all else (the proxy's other threads, this process and what
// it disturbs with) the other.
import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { Turnstile } from '../support/turnstile.js'
import type { LoadState } from './open-load.js'
import { Helper, node, OTHER_CPU, PROXY_CPU } from './processes.js'
import { median } from './report.js'

const ROUNDS = 20
const ROUND_MS = 3_000
const WARM_UP_MS = 5_000
/** Far below what the proxy can do: latency is asked for, not throughput. */
const RATE_PER_S = 300
const GOAL_PERCENT = 10

/** Of all threads there are; children inherit it. */
execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', OTHER_CPU, String(process.pid)])

/** `disturb` begins a disturbance and answers what ends it. */
export async function compare(
  title: string,
  { process: { pid }, proxyUrl }: Turnstile,
  disturb: () => Promise<() => Promise<void>>
): Promise<void> {
  execFileSync('taskset', ['--cpu-list', '--pid', PROXY_CPU, String(pid)])
  const load = new Helper<LoadState>(
    PROXY_CPU,
    node('./open-load.js', `${proxyUrl}/stream/bench`, RATE_PER_S)
  )
  const round = async (): Promise<LoadState> => {
    await load.ask()
    await delay(ROUND_MS)
    const figures = await load.ask()
    if (figures.failures > 0) throw new Error(`${figures.failures} failed requests`)
    return figures
  }
  await delay(WARM_UP_MS)
  const quiet: LoadState[] = []
  const disturbed: LoadState[] = []
  for (let i = 0; i < ROUNDS; i++) {
    quiet.push(await round())
    const end = await disturb()
    disturbed.push(await round())
    await end()
  }
  await load.stop()
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
