// Owns what strangers cannot do: make rows, counts or memory out of ids that the gateway never accepted.
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { heapUsedBytes } from '../support/inspector.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

const MADE_UP_IDS = 100_000
const AT_ONCE = 64
/** What a heap may differ by between two looks, garbage collected: a few dozen bytes an id would show. */
const SLACK_BYTES = 3_000_000
const LOOKS = 5

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })

/** Status of one request with raw header values. */
function send(url: string, method: string, headers: Record<string, string | string[]>): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers, agent }, response => {
      response.resume().once('end', () => resolve(response.statusCode!))
    })
      .once('error', reject)
      .end(method === 'POST' ? '{}' : undefined)
  })
}

async function inParallel(count: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < count) await one(next++)
    })
  )
}

void t.test('ids that the gateway never accepted leave nothing', { timeout: 240_000 }, async t => {
  const gateway = await startFakeGateway()
  const inspectorPort = await freePort()
  const inspect = [`--inspect=127.0.0.1:${inspectorPort}`]
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), [], inspect)
  t.teardown(async () => {
    agent.destroy()
    await turnstile.stop()
    await gateway.stop()
  })
  const url = `${turnstile.proxyUrl}/stream/e`

  await t.test('a DELETE of an unknown id', async t => {
    t.equal(await send(url, 'DELETE', { 'mcp-session-id': 'nobody' }), 202)
  })
  await t.test('a request with an unknown id', async t => {
    t.equal(await send(url, 'POST', { 'mcp-session-id': 'nobody' }), 404)
    t.equal(await send(`${turnstile.proxyUrl}/message?sessionId=nobody&endpointId=e`, 'POST', {}), 404)
  })
  await t.test('an id of 10 kB', async t => {
    t.equal(await send(url, 'POST', { 'mcp-session-id': 'j'.repeat(10_000) }), 404)
    t.equal(await send(url, 'DELETE', { 'mcp-session-id': 'j'.repeat(10_000) }), 202)
  })
  await t.test('binary ids, several ids', async t => {
    t.equal(await send(url, 'POST', { 'mcp-session-id': '\u00ff\u00fe\u0080' }), 404)
    t.equal(await send(url, 'POST', { 'mcp-session-id': ['a', 'b'] }), 404)
    t.equal(await send(`${turnstile.proxyUrl}/stream/%FF%00`, 'POST', { 'mcp-session-id': 'x' }), 404)
  })
  await t.test(`${MADE_UP_IDS} made-up ids`, async t => {
    const one = async (i: number): Promise<void> => {
      const status = await send(url, 'POST', { 'mcp-session-id': `made-up-${i}` })
      if (status !== 404) t.fail('refused by the gateway', { status })
    }
    await inParallel(MADE_UP_IDS / 5, one)
    await turnstile.shipped()
    const before = await heapUsedBytes(inspectorPort)
    await inParallel(MADE_UP_IDS, one)
    await turnstile.shipped()
    let after = await heapUsedBytes(inspectorPort)
    // What only a later collection finds is no leak.
    for (let look = 1; look < LOOKS && after - before >= SLACK_BYTES; look++) {
      await sleep(1_000)
      after = await heapUsedBytes(inspectorPort)
    }
    t.ok(after - before < SLACK_BYTES, `the heap is flat: ${before} → ${after} bytes`)
  })

  await turnstile.shipped()
  t.equal(await turnstile.count(), 0)
  t.same(await turnstile.query('/api/connections/endpoint'), [])
  t.same(await turnstile.query('/api/connections/time-series'), [], 'no endpoint became known')
})
