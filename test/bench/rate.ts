// Owns the open load of the benchmarks: tool calls of one session at a fixed rate, whatever the answers do. The latency is
// that of a client: with its connection, where that is a fresh one.
// node rate.js URL RATE SECONDS fresh|kept
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { initialize, initialized, open, post, quantiles, toolCall } from './client.js'

const [url, rate, seconds, connections] = process.argv.slice(2) as [string, string, string, 'fresh' | 'kept']
const target = new URL(url)
const intervalMs = 1000 / Number(rate)
const total = Number(rate) * Number(seconds)

const first = await open(target)
const { session } = await post(first, target, '', initialize)
await post(first, target, session, initialized)
first.destroy()

const kept: Socket[] = []
const latenciesMs: number[] = []

async function call(id: number): Promise<void> {
  const from = performance.now()
  const socket = kept.pop() ?? (await open(target))
  const answer = await post(socket, target, session, toolCall(id))
  latenciesMs.push(performance.now() - from)
  if (!answer.ok) throw new Error('A tool call failed')
  if (connections === 'fresh') socket.destroy()
  else kept.push(socket)
}

const start = performance.now()
const calls: Promise<void>[] = []
for (let i = 0; i < total; i++) {
  const waitMs = start + i * intervalMs - performance.now()
  if (waitMs > 0) await delay(waitMs)
  calls.push(call(i + 1))
}
await Promise.all(calls)
kept.forEach(socket => socket.destroy())
console.log(JSON.stringify(quantiles(latenciesMs)))
