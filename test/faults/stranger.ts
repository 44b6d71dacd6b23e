// Owns a stranger of the fault run: it asks for what makes rows where nobody bounds them.
import { type Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'
import type { Tally } from './client.js'

/** How long it waits between two requests, up to. */
const THINK_MS = 2_000
const SESSIONLESS = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }

/** Makes up session ids, endpoints and session-less clients until `running` aborts. */
export async function beStrange(
  { port, agent, random, tally }: { port: number; agent: Agent; random: Random; tally: Tally },
  running: AbortSignal
): Promise<void> {
  const name = (): string => random.next().toString(36).slice(2)
  const acts = {
    'a made-up session': () => ask('/stream/e', { 'mcp-session-id': name() }),
    'a made-up client': () => ask('/stream/e', { ...SESSIONLESS, 'user-agent': name() }),
    'a made-up endpoint': () => ask(`/stream/${name()}`, {}),
    'a client of a made-up endpoint': () =>
      ask(`/stream/${name()}`, { ...SESSIONLESS, 'user-agent': name() }),
    'a refused path': () => ask(`/#${'x'.repeat(random.int(0, 4_000))}`, {})
  }
  const ask = (path: string, headers: Record<string, string>): Promise<string> =>
    new Promise(resolve => {
      request({ port, host: '127.0.0.1', method: 'POST', path, headers, agent }, response => {
        response.resume().once('close', () => resolve(String(response.statusCode)))
      })
        .once('error', () => resolve('nothing'))
        .end('{}')
    })
  while (!running.aborted) {
    const [what, act] = random.pick(Object.entries(acts))
    const outcome = `${what} answered ${await act()}`
    tally.done[outcome] = (tally.done[outcome] ?? 0) + 1
    await sleep(random.int(0, THINK_MS), undefined, { signal: running }).catch(() => undefined)
  }
}
