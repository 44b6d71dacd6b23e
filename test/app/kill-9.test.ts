// Owns what a crash may cost: nothing that a client was told. 50 rounds of `kill -9` under load.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'

const ROUNDS = 50
const CLIENTS = 8
const LONGEST_ROUND_MS = 250

/** What clients were told, before and after the process died under them. */
interface Told {
  opened: Set<string>
  deleted: Set<string>
  streams: Set<string>
}

/** One client: opens, uses and deletes sessions and streams until the proxy is gone. */
async function client(proxyUrl: string, random: Random, told: Told): Promise<void> {
  try {
    for (;;) {
      const endpointId = `e${random.int(0, 4)}`
      if (random.chance(0.3)) await streamVisit(proxyUrl, endpointId, random.int(0, 20), told)
      else await sessionVisit(proxyUrl, endpointId, random.chance(0.7), told)
    }
  } catch {
    // The proxy died: so does its client.
  }
}

async function sessionVisit(
  proxyUrl: string,
  endpointId: string,
  terminate: boolean,
  told: Told
): Promise<void> {
  const url = `${proxyUrl}/stream/${endpointId}`
  const opened = await fetch(url, { method: 'POST', body: '{}' })
  const id = opened.headers.get('mcp-session-id')!
  told.opened.add(`${endpointId} ${id}`)
  await opened.arrayBuffer()
  const headers = { 'mcp-session-id': id }
  await (await fetch(url, { method: 'POST', body: '{}', headers })).arrayBuffer()
  if (!terminate) return
  const deleted = await fetch(url, { method: 'DELETE', headers })
  told.deleted.add(`${endpointId} ${id}`)
  await deleted.arrayBuffer()
}

async function streamVisit(proxyUrl: string, endpointId: string, stayMs: number, told: Told): Promise<void> {
  const leave = new AbortController()
  const response = await fetch(`${proxyUrl}/${endpointId}/sse`, { signal: leave.signal })
  const first = await response.body!.getReader().read()
  const id = /sessionId=([^&]+)/.exec(Buffer.from(first.value as Uint8Array).toString())![1]!
  told.streams.add(`${endpointId} ${id}`)
  await sleep(stayMs)
  leave.abort()
}

async function oneRound(gateway: FakeGateway, directory: string, random: Random, told: Told): Promise<void> {
  const turnstile = await Turnstile.start(gateway.url, directory)
  const clients = Array.from({ length: CLIENTS }, () => client(turnstile.proxyUrl, random, told))
  await sleep(random.int(0, LONGEST_ROUND_MS))
  await turnstile.kill()
  await Promise.all(clients)
}

void t.test(`${ROUNDS} rounds of kill -9 under load`, { timeout: 480_000 }, async t => {
  const random = new Random()
  t.comment(`seed ${random.seed}`)
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const told: Told = { opened: new Set(), deleted: new Set(), streams: new Set() }
  for (let round = 0; round < ROUNDS; round++) await oneRound(gateway, directory, random, told)

  const turnstile = await Turnstile.start(gateway.url, directory)
  t.teardown(() => turnstile.stop())
  await turnstile.shipped()
  const reasons = new Map(
    (await turnstile.connections()).map(row => [`${row.endpoint_id} ${row.session_id}`, row.reason])
  )
  const missing = [...told.opened, ...told.streams].filter(key => !reasons.has(key))
  t.same(missing, [], 'no session whose id a client received is missing')
  t.same(
    [...told.deleted].filter(key => reasons.get(key) === null),
    [],
    'none whose DELETE was answered is open'
  )
  t.same(
    [...told.streams].filter(key => reasons.get(key) === null),
    [],
    'no stream of a dead process is open'
  )
  const neverClosed = [...told.opened].filter(key => !told.deleted.has(key) && gateway.sessions.has(key))
  t.same(
    neverClosed.filter(key => reasons.get(key) !== null),
    [],
    'sessions that live on in the gateway are open'
  )
  t.ok(
    told.opened.size > ROUNDS && told.streams.size > ROUNDS,
    `${told.opened.size} sessions and ${told.streams.size} streams`
  )
  await checkInvariant(t, turnstile)
})
