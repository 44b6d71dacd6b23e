// Owns the fuzz of one side of the proxy, beside a client that behaves well: each message gets an answer or its connection is
// closed, the process lives, its memory is what it was, and the well-behaved client is served and counted right.
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryUsedBytes } from '../support/inspector.js'
import { freePort } from '../support/ports.js'
import type { Random } from '../support/random.js'
import { Subscriber } from '../support/subscriber.js'
import { Turnstile } from '../support/turnstile.js'
import { latin1 } from './bytes.js'
import { exchange } from './exchange.js'
import { oddRequests } from './requests.js'
import { oddResponse } from './responses.js'
import { leave, oddMessage } from './socket-io.js'
import { type OddAnswer, startUpstream } from './upstream.js'
import { WellBehaved } from './well-behaved.js'

/** Messages under way at once. */
const AT_ONCE = 200
/** All that is allocated once is there after so many of the messages. */
const WARM_UP = 0.3
const PROBLEMS_KEPT = 20
/** What memory may differ by between two looks: a few hundred bytes a message would show in 100,000. */
const SLACK_BYTES = 12_000_000
const LOOKS = 20

export const sides = ['client', 'upstream', 'socket.io'] as const
export type Side = (typeof sides)[number]

export interface Fuzzed {
  messages: number
  /** By the first line of the answer. */
  answers: Record<string, number>
  sessions: number
  /** Requests of the well-behaved client that the gateway broke off. */
  broken: number
  memoryBytes: { before: number; after: number }
  problems: string[]
}

const flags = ['--head-timeout', '2s', '--stall-timeout', '2s', '--upstream-timeout', '10s']
const bounds = ['--max-endpoints', '50', '--drain-timeout', '1s', '--session-idle-timeout', '12h']

/** An answer that is as it should be, for requests that are not. */
function plainAnswer(random: Random): OddAnswer {
  const body = '{"jsonrpc":"2.0","id":1,"result":{}}'
  const head = random.pick([
    '200 OK\r\ncontent-type: application/json',
    `200 OK\r\ncontent-type: application/json\r\nmcp-session-id: ${random.next().toString(36)}`,
    '202 Accepted',
    '404 Not Found'
  ])
  return { bytes: latin1(`HTTP/1.1 ${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`), then: 'stay' }
}

function oddAnswer(random: Random): OddAnswer {
  return { bytes: oddResponse(random), then: random.pick(['linger', 'linger', 'end', 'reset']) }
}

/** Requests that are as they should be, for answers that are not. */
function plainRequest(random: Random): Buffer {
  const body =
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":{"name":"fuzz","version":"1"}}}'
  const session = `Mcp-Session-Id: ${random.next().toString(36)}\r\n`
  const stream = 'Accept: text/event-stream\r\n'
  const head = random.pick([
    `POST /stream/e HTTP/1.1\r\nContent-Length: ${body.length}\r\n`,
    `POST /stream/e HTTP/1.1\r\n${session}Content-Length: ${body.length}\r\n`,
    `POST /stream/e HTTP/1.1\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\nContent-Length: ${body.length}\r\n`,
    `GET /stream/e HTTP/1.1\r\n${session}${stream}`,
    `GET /e/sse HTTP/1.1\r\n${stream}`,
    `POST /message?sessionId=x&endpointId=e HTTP/1.1\r\nContent-Length: ${body.length}\r\n`,
    `DELETE /stream/e HTTP/1.1\r\n${session}`,
    'HEAD /stream/e HTTP/1.1\r\n',
    'GET /other HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n'
  ])
  return latin1(`${head}Host: gateway\r\n\r\n${head.startsWith('POST') ? body : ''}`)
}

/** Sends so many messages to one side. `directory`: for the proxy's data. */
export async function fuzz(side: Side, messages: number, random: Random, directory: string): Promise<Fuzzed> {
  const upstream = await startUpstream(random, side === 'upstream' ? oddAnswer : plainAnswer)
  const inspectorPort = await freePort()
  const inspect = [`--inspect=127.0.0.1:${inspectorPort}`]
  const turnstile = await Turnstile.start(upstream.url, directory, [...flags, ...bounds], inspect)
  const proxyPort = Number(new URL(turnstile.proxyUrl).port)
  const problems: string[] = []
  const answers: Record<string, number> = {}
  const note = (problem: string): void => {
    if (problems.length < PROBLEMS_KEPT) problems.push(problem)
  }
  const count = (answer: string): void => void (answers[answer] = (answers[answer] ?? 0) + 1)

  const one = async (): Promise<void> => {
    if (side === 'socket.io') {
      const problem = await oddMessage(random, turnstile.adminUrl)
      if (problem !== undefined) note(problem)
      return count('messages')
    }
    const bytes = side === 'client' ? oddRequests(random) : plainRequest(random)
    if (bytes.length === 0) return
    const answer = await exchange(random, proxyPort, bytes)
    if (answer === undefined) note(`no answer to ${JSON.stringify(bytes.toString('latin1').slice(0, 500))}`)
    else if (answer !== '' && !/^HTTP\/1\.1 \d{3}/.test(answer))
      note(`an answer begins ${JSON.stringify(answer)}`)
    count(answer === undefined ? 'none' : answer || 'closed')
  }
  const send = async (number: number): Promise<void> => {
    let left = number
    const lane = async (): Promise<void> => {
      while (left-- > 0 && turnstile.process.exitCode === null && turnstile.process.signalCode === null)
        await one()
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, number) }, lane))
  }

  const good = new WellBehaved(turnstile, side === 'upstream')
  const running = new AbortController()
  const watcher = side === 'socket.io' ? await Subscriber.connect(turnstile.adminUrl) : undefined
  await watcher?.subscribe({ serverId: 'good' })
  const behaving = good.run(running.signal)
  await send(Math.ceil(messages * WARM_UP))
  const before = await memoryUsedBytes(inspectorPort)
  await send(Math.floor(messages * (1 - WARM_UP)))
  running.abort()
  await behaving
  if (side === 'socket.io') await leave()
  let after = await memoryUsedBytes(inspectorPort)
  // What waits for a time limit, or for a later collection, is no leak.
  for (let look = 1; look < LOOKS && after - before > SLACK_BYTES; look++) {
    await sleep(1_000)
    after = await memoryUsedBytes(inspectorPort)
  }
  if (after - before > SLACK_BYTES) note(`memory grew from ${before} to ${after} bytes`)
  await good.check()
  if (watcher) {
    const open = await turnstile.count('good')
    const told = await Promise.race([
      watcher.dataWhere(stats => stats.activeConnections === open),
      sleep(10_000)
    ])
    if (!told || !watcher.socket.connected) note('the well-behaved subscriber does not know the state')
    watcher.close()
  }
  for (const line of turnstile.log.filter(({ level }) => Number(level) >= 50))
    note(JSON.stringify(line).slice(0, 1_000))
  const code = await turnstile.stop()
  if (code !== 0) note(`the process ended with ${code ?? 'a signal'}`)
  await upstream.stop()
  return {
    messages,
    answers,
    sessions: good.sessions,
    broken: good.broken,
    memoryBytes: { before, after },
    problems: [...problems, ...good.problems.slice(0, PROBLEMS_KEPT)]
  }
}
