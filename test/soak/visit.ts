// Owns one client's visit to a gateway in each of the manners that clients have of coming, using and leaving.
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import type { Random } from '../support/random.js'

/** What the gateways and the proxies are told: sessions end after that time without a message. */
export const KEEP_ALIVE_MS = 20_000
const ENDPOINTS = 10
/** Streams stay open for as long as a visit lasts; a connection that rests may be closed at any time. */
const agent = new Agent({ bodyTimeout: 0, keepAliveTimeout: 1_000 })

const rpc = (method: string, params: object, id?: number): string =>
  JSON.stringify({ jsonrpc: '2.0', method, params, ...(id === undefined ? {} : { id }) })
const initialize = rpc(
  'initialize',
  { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'soak', version: '1' } },
  0
)
const initialized = rpc('notifications/initialized', {})
const echo = rpc('tools/call', { name: 'echo', arguments: { text: 'hello' } }, 1)
const jsonHeaders = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

interface Answer {
  status: number
  sessionId: string | undefined
}

async function send(
  method: 'POST' | 'DELETE',
  url: string,
  body?: string,
  sessionId?: string
): Promise<Answer> {
  const answer = await request(url, {
    method,
    dispatcher: agent,
    headers: { ...jsonHeaders, ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }) },
    ...(body === undefined ? {} : { body })
  })
  await answer.body.dump()
  return { status: answer.statusCode, sessionId: answer.headers['mcp-session-id'] as string | undefined }
}

/** An open event stream. */
class Stream {
  readonly #leaving = new AbortController()
  ended: Promise<unknown> = Promise.resolve()
  /** What the first event says, of a legacy stream. */
  first = ''

  async open(url: string, sessionId?: string): Promise<this> {
    const { statusCode, body } = await request(url, {
      dispatcher: agent,
      signal: this.#leaving.signal,
      headers: {
        accept: 'text/event-stream',
        ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId })
      }
    })
    if (statusCode !== 200) throw new Error(`GET ${url}: ${statusCode}`)
    const started = sessionId === undefined ? new Promise(resolve => body.once('data', resolve)) : undefined
    this.ended = new Promise(resolve => body.once('close', resolve))
    body.on('data', (chunk: Buffer) => {
      if (!this.first.includes('\n\n')) this.first += chunk.toString()
    })
    body.on('error', () => undefined)
    await started
    return this
  }

  leave(): void {
    this.#leaving.abort()
  }
}

export type Manner =
  | 'delete'
  | 'vanish'
  | 'abort'
  | 'stay'
  | 'idle with a stream'
  | 'come back'
  | 'legacy'
  | 'legacy without a word'

/** What a client of each gateway may do. */
export const manners = {
  'gateway-rmcp3': ['delete', 'vanish', 'abort', 'stay', 'idle with a stream', 'come back'],
  'gateway-rmcp0': [
    'delete',
    'vanish',
    'abort',
    'stay',
    'idle with a stream',
    'come back',
    'legacy',
    'legacy without a word'
  ]
} satisfies Record<string, Manner[]>

/** `told` hears of each session that the client is told of. Throws when the gateway does not answer as it should. */
export async function visit(
  baseUrl: string,
  manner: Manner,
  random: Random,
  told: (endpointId: string, sessionId: string) => void
): Promise<void> {
  const endpointId = `e${random.int(0, ENDPOINTS - 1)}`
  const onTold = (sessionId: string): void => told(endpointId, sessionId)
  if (manner === 'legacy' || manner === 'legacy without a word')
    await legacyVisit(baseUrl, endpointId, manner === 'legacy', random, onTold)
  else await streamableVisit(`${baseUrl}/stream/${endpointId}`, manner, random, onTold)
}

async function streamableVisit(
  url: string,
  manner: Exclude<Manner, 'legacy' | 'legacy without a word'>,
  random: Random,
  told: (sessionId: string) => void
): Promise<void> {
  const { sessionId } = await expect(200, send('POST', url, initialize))
  told(sessionId!)
  await expect(202, send('POST', url, initialized, sessionId))
  const use = (): Promise<Answer> => expect(200, send('POST', url, echo, sessionId))
  for (let uses = random.int(1, 6); uses > 0; uses--) {
    await use()
    await sleep(random.int(0, 4_000))
  }
  switch (manner) {
    case 'vanish':
      return
    case 'delete':
      await expect(202, send('DELETE', url, undefined, sessionId))
      return
    case 'abort': {
      const stream = await new Stream().open(url, sessionId)
      await sleep(random.int(0, 5_000))
      return stream.leave()
    }
    case 'stay':
      for (let times = random.int(1, 3); times > 0; times--) {
        await sleep(KEEP_ALIVE_MS * 0.6)
        await use()
      }
      return
    case 'idle with a stream': {
      const stream = await new Stream().open(url, sessionId)
      await stream.ended
      return
    }
    case 'come back': {
      await sleep(KEEP_ALIVE_MS + random.int(3_000, 8_000))
      // It is told that the session is gone, and begins anew, as the specification has it.
      const answer = await send('POST', url, echo, sessionId)
      if (answer.status !== 404 && answer.status !== 401) throw new Error(`not gone: ${answer.status}`)
      return await streamableVisit(url, 'delete', random, told)
    }
  }
}

async function legacyVisit(
  baseUrl: string,
  endpointId: string,
  talks: boolean,
  random: Random,
  told: (sessionId: string) => void
): Promise<void> {
  const stream = await new Stream().open(`${baseUrl}/${endpointId}/sse`)
  const path = /data: (.*)/.exec(stream.first)![1]!
  told(/sessionId=([^&]+)/.exec(path)![1]!)
  if (talks) {
    for (const message of [initialize, initialized]) await expect(202, send('POST', baseUrl + path, message))
    for (let uses = random.int(0, 6); uses > 0; uses--) {
      await sleep(random.int(0, 6_000))
      await expect(202, send('POST', baseUrl + path, echo))
    }
  }
  // Longer than keep_alive at times: a legacy session lives as long as its stream.
  await sleep(random.int(0, KEEP_ALIVE_MS * 2))
  stream.leave()
}

async function expect(status: number, sent: Promise<Answer>): Promise<Answer> {
  const answer = await sent
  if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}`)
  return answer
}
