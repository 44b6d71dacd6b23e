// Owns that a message of a legacy session counts for the session of its stream, through whichever worker or proxy it comes,
// and that no message makes a session or an endpoint.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { checkInvariant } from '../support/invariant.js'
import {
  initializeOf,
  type LegacyClient,
  type LegacyServer,
  openLegacyStream,
  startLegacyServer
} from '../support/legacy-server.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const MESSAGES = 6
const STREAMS = 8

async function start(t: Test, server: LegacyServer, directory: string, flags: string[]): Promise<Turnstile> {
  const turnstile = await Turnstile.start(server.url.origin, directory, ['--drain-timeout', '10ms', ...flags])
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** The rows once they are `as`, or as they are after a while. */
async function rows(turnstile: Turnstile, as: (row: ConnectionJson) => boolean): Promise<ConnectionJson[]> {
  for (let tries = 0; ; tries++) {
    const found = await turnstile.connections()
    if (found.every(as) || tries === 250) return found
    await sleep(20)
  }
}

async function talk(client: LegacyClient, name: string): Promise<void> {
  await client.post(undefined, initializeOf(name))
  for (let i = 1; i < MESSAGES; i++) await client.post()
}

const requestsOf = ({ request_count }: ConnectionJson): boolean => request_count >= 1 + MESSAGES

function checkRows(t: Test, found: readonly ConnectionJson[]): void {
  t.equal(found.length, STREAMS)
  for (const row of found) {
    t.equal(row.endpoint_id, 'e1')
    t.equal(row.request_count, 1 + MESSAGES)
    t.match(row, {
      transport_type: 1,
      reason: null,
      client_name: /^client \d$/,
      protocol_version: '2024-11-05'
    })
  }
  t.equal(new Set(found.map(row => row.client_name)).size, STREAMS)
}

const layouts: [name: string, announce: (id: string, target: string) => string, flags: string[]][] = [
  ['rmcp', id => `/message?sessionId=${id}&endpointId=e1`, []],
  ['the Python SDK', id => `/messages/?session_id=${id}`, ['--message-path', '/messages/']],
  ['the Go SDK', (id, target) => `${target}?sessionid=${id}`, []]
]

for (const [name, announce, flags] of layouts) {
  void t.test(`messages through any worker, as ${name} announces them`, async t => {
    const server = await startLegacyServer(t, { announce })
    const turnstile = await start(t, server, t.testdir(), ['--workers', '3', ...flags])
    const opening = Array.from({ length: STREAMS }, () => openLegacyStream(`${turnstile.proxyUrl}/e1/sse`))
    const clients = await Promise.all(opening)
    await Promise.all(clients.map((client, i) => talk(client, `client ${i}`)))
    checkRows(t, await rows(turnstile, requestsOf))
    await Promise.all(clients.map(client => client.close()))
    t.ok(
      (await rows(turnstile, row => row.reason === 'stream_end')).every(row => row.reason === 'stream_end')
    )
    await checkInvariant(t, turnstile)
  })
}

void t.test('messages through another proxy of the store, which restarts', async t => {
  const server = await startLegacyServer(t, { announce: id => `/message?sessionId=${id}` })
  const directory = t.testdir()
  const flags = ['--store', `sqlite:${directory}/ledger.db`]
  const holder = await start(t, server, `${directory}/one`, flags)
  const startOther = (): Promise<Turnstile> => start(t, server, `${directory}/two`, flags)
  let other = await startOther()
  const open = (): Promise<LegacyClient> => openLegacyStream(`${holder.proxyUrl}/e1/sse`, other.proxyUrl)
  const clients = await Promise.all(Array.from({ length: STREAMS }, open))
  await Promise.all(clients.map((client, i) => client.post(undefined, initializeOf(`client ${i}`))))
  await holder.shipped()
  t.equal(await other.stop(), 0, 'it tells all before it ends')
  t.ok((await holder.connections()).every(row => row.request_count === 2))
  other = await startOther()
  const targets = clients.map(({ messageTarget }) => messageTarget)
  for (let i = 1; i < MESSAGES; i++)
    await Promise.all(targets.map(target => fetch(other.proxyUrl + target, { method: 'POST', body: '{}' })))
  checkRows(t, await rows(holder, requestsOf))
  await Promise.all(clients.map(client => client.close()))
  t.ok((await rows(holder, row => row.reason === 'stream_end')).every(row => row.reason === 'stream_end'))
  await checkInvariant(t, holder)
})

for (const flags of [
  ['--workers', '2'],
  ['--max-sessions-per-endpoint', '2']
]) {
  void t.test(`messages make no sessions and no endpoints: ${flags[0]!}`, async t => {
    // It takes whatever holds the id of a stream somewhere.
    const server = await startLegacyServer(t, { announce: id => `/message?sessionId=${id}&endpointId=e1` })
    const turnstile = await start(t, server, t.testdir(), flags)
    const client = await openLegacyStream(`${turnstile.proxyUrl}/e1/sse`)
    const id = server.ids[0]!
    const phantoms = Array.from({ length: 30 }, (_, i) => [
      `/message?session_id=${id}&sessionId=FAKE${i}&endpointId=e1`,
      `/message?sessionId=${id}&endpointId=OTHER${i}`,
      `/message?sessionId=FAKE${i}&sessionId=${id}`,
      `/e${i}/sse?sessionid=FAKE${i}&x=${id}`
    ]).flat()
    phantoms.push(
      `/message?sessionId=${id}&endpointId=%651`,
      `/message?sessionId=%49${id.slice(1)}&endpointId=e2`
    )
    for (const phantom of phantoms) t.equal(await client.post(phantom), 202)
    await openLegacyStream(`${turnstile.proxyUrl}/e1/sse`)
    if (flags[0] !== '--workers')
      t.equal((await fetch(`${turnstile.proxyUrl}/e1/sse`)).status, 503, 'the limit is that of streams')
    const found = await rows(turnstile, row => row.session_id !== id || row.request_count >= 33)
    t.strictSame(
      found.map(row => [row.endpoint_id, row.session_id, row.request_count]),
      [
        ['e1', server.ids[1], 1],
        ['e1', id, 33]
      ],
      'what the upstream takes for a message of its session is a use of it'
    )
    t.equal(await turnstile.count(), 2)
    await checkInvariant(t, turnstile)
  })
}

void t.test('messages whose session the store does not know yet outlive kill -9', async t => {
  const server = await startLegacyServer(t, {
    announce: () => '/message?sessionId=late',
    idOf: (_, ids) => ids[0]
  })
  const directory = t.testdir()
  const flags = ['--store', `sqlite:${directory}/ledger.db`]
  const holder = await start(t, server, `${directory}/one`, flags)
  const startOther = (): Promise<Turnstile> => start(t, server, `${directory}/two`, flags)
  let other = await startOther()
  const target = `${other.proxyUrl}/message?sessionId=late`
  await openLegacyStream(`${server.url.origin}/e1/sse`)
  for (let i = 0; i < MESSAGES; i++)
    t.equal((await fetch(target, { method: 'POST', body: '{}' })).status, 202)
  // Uses are written down within a second; nothing tells when.
  await sleep(2_500)
  await other.kill()
  other = await startOther()
  await openLegacyStream(`${holder.proxyUrl}/e1/sse`)
  const found = await rows(holder, requestsOf)
  t.match(found, [{ endpoint_id: 'e1', session_id: 'late', request_count: 1 + MESSAGES }])
  await other.kill()
  other = await startOther()
  await other.shipped()
  t.equal((await holder.connections())[0]?.request_count, 1 + MESSAGES, 'placed once')
})
