// Owns the visitors: sessions on whichever proxy the shared socket leads to, whose clients bear no failure at all.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'

const rpc = (method: string, params: object, id?: number): string =>
  JSON.stringify({ jsonrpc: '2.0', method, params, ...(id === undefined ? {} : { id }) })
const initialize = rpc(
  'initialize',
  { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'restarts', version: '1' } },
  0
)
const initialized = rpc('notifications/initialized', {})
const echo = rpc('tools/call', { name: 'echo', arguments: { text: 'hello' } }, 1)

const POST = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
}
const ENDPOINTS = ['e0', 'e1', 'e2', 'e3']
const MAX_PAUSE_MS = 600

/** What all visitors together saw. */
export interface Seen {
  requests: number
  sessions: number
  /** Standalone streams that ended in order, and were opened again. */
  reopened: number
  /** Legacy streams that ended with their proxy. */
  legacyEnded: number
  slowestMs: number
  violations: string[]
}

export interface Visitor {
  url: string
  random: Random
  seen: Seen
  end: AbortSignal
}

/** Visits until the end. */
export async function visit(visitor: Visitor): Promise<void> {
  while (!visitor.end.aborted) {
    const endpointId = visitor.random.pick(ENDPOINTS)
    try {
      await (visitor.random.chance(0.2) ? legacyVisit : streamableVisit)(visitor, endpointId)
    } catch (error) {
      visitor.seen.violations.push(String((error as Error).cause ?? error))
    }
  }
}

async function streamableVisit(visitor: Visitor, endpointId: string): Promise<void> {
  const { seen, random, end } = visitor
  const path = `/stream/${endpointId}`
  const opened = await answerOf(visitor, path, { ...POST, body: initialize })
  const id = opened.headers.get('mcp-session-id') ?? ''
  seen.sessions++
  const session = { 'mcp-session-id': id }
  const post = { ...POST, headers: { ...POST.headers, ...session } }
  await answerOf(visitor, path, { ...post, body: initialized })
  const leaving = new AbortController()
  const listening = random.chance(0.4)
    ? listen(visitor, path, {
        headers: { accept: 'text/event-stream', ...session },
        signal: leaving.signal
      })
    : undefined
  for (let left = random.int(1, 8); left > 0 && !end.aborted; left--) {
    const { text } = await answerOf(visitor, path, { ...post, body: echo })
    if (!text.includes('hello')) throw new Error(`a tool call without its result: ${text}`)
    await sleep(random.int(0, MAX_PAUSE_MS))
  }
  leaving.abort()
  await listening
  if (random.chance(0.8)) await answerOf(visitor, path, { method: 'DELETE', headers: session })
}

/** Holds the standalone stream of a session, and opens it again when it ends. */
async function listen(
  { url, seen }: Visitor,
  path: string,
  init: RequestInit & { signal: AbortSignal }
): Promise<void> {
  for (;;) {
    try {
      const response = await fetch(url + path, init)
      if (response.status !== 200) return void seen.violations.push(`a standalone stream: ${response.status}`)
      await response.arrayBuffer()
      seen.reopened++
    } catch (error) {
      if (!init.signal.aborted) seen.violations.push(`a standalone stream broke off: ${String(error)}`)
      return
    }
  }
}

async function legacyVisit(visitor: Visitor, endpointId: string): Promise<void> {
  const { url, random, seen, end } = visitor
  const leaving = new AbortController()
  const response = await fetch(`${url}/${endpointId}/sse`, { signal: leaving.signal })
  const reader = response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>
  const { value } = await reader.read()
  const sessionId = /sessionId=([^&\s]+)/.exec(Buffer.from(value ?? []).toString())?.[1]
  if (sessionId === undefined) throw new Error(`a legacy stream without a session: ${response.status}`)
  seen.sessions++
  const stream = { isOpen: true }
  const ended = (async () => {
    while (!(await reader.read()).done);
  })()
    .catch(() => undefined)
    .then(() => (stream.isOpen = false))
  const path = `/message?sessionId=${sessionId}&endpointId=${endpointId}`
  const messages = [initialize, initialized, ...Array<string>(random.int(1, 8)).fill(echo)]
  for (const body of messages) {
    const sent = await fetch(url + path, { ...POST, body })
    seen.requests++
    await sent.text()
    await sleep(random.int(0, MAX_PAUSE_MS))
    if (!stream.isOpen || end.aborted) break
    if (sent.status >= 300) throw new Error(`POST ${path}: ${sent.status}, though its stream is open`)
  }
  if (!stream.isOpen) seen.legacyEnded++
  leaving.abort()
  await ended
}

/** One request, whole. Throws on any failure. */
async function answerOf(
  { url, seen }: Visitor,
  path: string,
  init: RequestInit
): Promise<{ headers: Headers; text: string }> {
  const sentMs = performance.now()
  const response = await fetch(url + path, init)
  const text = await response.text()
  seen.requests++
  seen.slowestMs = Math.max(seen.slowestMs, performance.now() - sentMs)
  if (!response.ok) throw new Error(`${init.method} ${path}: ${response.status} ${text}`)
  return { headers: response.headers, text }
}
