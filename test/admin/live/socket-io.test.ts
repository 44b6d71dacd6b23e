// Owns the tests of live monitoring over Socket.IO, with the real process and sessions through it.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.js'
import { heapUsedBytes } from '../../support/inspector.js'
import { freshDatabase, startDatabase } from '../../support/mariadb.js'
import { freePort } from '../../support/ports.js'
import { Subscriber } from '../../support/subscriber.js'
import { Turnstile } from '../../support/turnstile.js'

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const MEGABYTE = 'x'.repeat(1024 * 1024)

const gateway: FakeGateway = await startFakeGateway()
t.teardown(() => gateway.stop())

async function startTurnstile(t: Test, flags: string[] = [], nodeFlags: string[] = []): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags, nodeFlags)
  t.teardown(() => turnstile.stop())
  return turnstile
}

async function subscriber(
  t: Test,
  turnstile: Turnstile,
  options: Parameters<typeof Subscriber.connect>[1] = {}
): Promise<Subscriber> {
  const subscriber = await Subscriber.connect(turnstile.adminUrl, options)
  t.teardown(() => subscriber.close())
  return subscriber
}

async function openSession(turnstile: Turnstile, endpointId: string): Promise<string> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/${endpointId}`, { method: 'POST', body: '{}' })
  await response.text()
  return response.headers.get('mcp-session-id')!
}

async function closeSession(turnstile: Turnstile, endpointId: string, sessionId: string): Promise<void> {
  const headers = { 'mcp-session-id': sessionId }
  await (await fetch(`${turnstile.proxyUrl}/stream/${endpointId}`, { method: 'DELETE', headers })).text()
}

/** Answers `initialize` as gateways do whose result takes its time: the head first. */
function introduceLater(_request: IncomingMessage, response: ServerResponse): boolean {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': randomUUID() })
  response.write('data: \nid: 0\n\n')
  const result = { jsonrpc: '2.0', id: 1, result: { protocolVersion: '2025-11-25' } }
  setTimeout(() => response.end(`data: ${JSON.stringify(result)}\n\n`), 150)
  return true
}

void t.test('who subscribes is told the state at once, and then each change', async t => {
  const turnstile = await startTurnstile(t)
  const all = await subscriber(t, turnstile)
  const own = await subscriber(t, turnstile, { transports: ['websocket'] })
  t.match(await all.subscribe(), { status: 'subscribed', room: 'mcp_connections_default', timestamp: ISO })
  t.match(await own.subscribe({ serverId: 'e1' }), { status: 'subscribed', room: 'mcp_connections_e1' })
  for (const one of [all, own]) {
    t.match(await one.dataWhere(() => true), {
      timestamp: ISO,
      activeConnections: 0,
      totalConnections: 0,
      connections: [],
      lastUpdated: ISO
    })
  }

  const id = await openSession(turnstile, 'e1')
  for (const one of [all, own]) {
    t.match(await one.notice(n => n.event === 'mcp_connection_established'), {
      timestamp: ISO,
      connection: {
        sessionId: id,
        clientIP: '127.0.0.1',
        userAgent: 'node',
        connectedAt: ISO,
        lastActivity: ISO,
        requestCount: 1,
        endpointId: 'e1',
        transport: 'streamable'
      }
    })
    const { connections } = await one.dataWhere(stats => stats.activeConnections === 1)
    t.match(connections, [{ sessionId: id }])
  }
  const other = await openSession(turnstile, 'e2')
  await all.notice(n => n.event === 'mcp_connection_established' && n.connection.sessionId === other)
  await closeSession(turnstile, 'e1', id)
  for (const one of [all, own]) {
    const closed = await one.notice(n => n.event === 'mcp_connection_closed')
    t.match(closed, { timestamp: ISO, sessionId: id, duration: Number, reason: 'delete' })
  }
  t.match(await own.dataWhere(stats => stats.totalConnections === 1 && stats.activeConnections === 0), {
    connections: []
  })
  t.match(await all.dataWhere(stats => stats.totalConnections === 2 && stats.activeConnections === 1), {
    connections: [{ sessionId: other }]
  })
  t.equal(own.notices.length, 2, 'an endpoint hears of its own sessions')
  t.equal(all.notices.length, 3)

  t.match(await own.unsubscribe({ serverId: 'e1' }), {
    status: 'unsubscribed',
    room: 'mcp_connections_e1',
    timestamp: ISO
  })
  const third = await openSession(turnstile, 'e1')
  await all.notice(n => n.event === 'mcp_connection_established' && n.connection.sessionId === third)
  t.equal(own.notices.length, 2, 'who unsubscribed hears nothing')
})

void t.test('a burst: every notice once, at most four states a second, the last one told', async t => {
  const turnstile = await startTurnstile(t)
  const listener = await subscriber(t, turnstile)
  await listener.subscribe()
  await listener.dataWhere(() => true)
  const ids: string[] = []
  const startedAt = performance.now()
  for (let batch = 0; batch < 30; batch++) {
    const opened = await Promise.all(
      Array.from({ length: 20 }, () => openSession(turnstile, `e${batch % 3}`))
    )
    ids.push(...opened)
    await Promise.all(opened.slice(0, 15).map(id => closeSession(turnstile, `e${batch % 3}`, id)))
  }
  await listener.dataWhere(stats => stats.totalConnections === 600 && stats.activeConnections === 150)
  await turnstile.shipped()
  await listener.dataWhere(stats => stats.connections.length === 150)
  while (listener.notices.length < 600 + 450) await sleep(50)
  const seconds = (performance.now() - startedAt) / 1_000
  t.ok(listener.data.length <= 2 + 4 * seconds, `${listener.data.length} states in ${seconds.toFixed(1)} s`)
  const told = (event: string) => listener.notices.filter(notice => notice.event === event)
  const established = told('mcp_connection_established').map(n => 'connection' in n && n.connection.sessionId)
  t.strictSame(new Set(established), new Set(ids))
  t.equal(established.length, 600)
  t.equal(new Set(told('mcp_connection_closed').map(n => 'sessionId' in n && n.sessionId)).size, 450)
})

void t.test('of very many open sessions the newest are told, and the counts of all', async t => {
  const turnstile = await startTurnstile(t)
  for (let i = 0; i < 5; i++) await Promise.all(Array.from({ length: 50 }, () => openSession(turnstile, 'e')))
  const last = await openSession(turnstile, 'e')
  await turnstile.shipped()
  const listener = await subscriber(t, turnstile)
  await listener.subscribe({ serverId: 'e' })
  const stats = await listener.dataWhere(() => true)
  t.equal(stats.activeConnections, 251)
  t.equal(stats.connections.length, 200)
  t.equal(stats.connections[0]?.sessionId, last)
})

void t.test('a change of a session that is no open or close is told too', async t => {
  const turnstile = await startTurnstile(t)
  const id = await openSession(turnstile, 'e')
  const listener = await subscriber(t, turnstile)
  await listener.subscribe()
  await listener.dataWhere(stats => stats.connections[0]?.requestCount === 1)
  const headers = { 'mcp-session-id': id }
  await (await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}', headers })).text()
  await listener.dataWhere(stats => stats.connections[0]?.requestCount === 2)
})

void t.test('what cannot be used is acknowledged as an error', async t => {
  const turnstile = await startTurnstile(t)
  const client = await subscriber(t, turnstile)
  const bad = [
    null,
    [],
    [{}],
    Buffer.from('{}'),
    new Uint8Array(3),
    { serverId: Buffer.from('e1') },
    0,
    true,
    'e1',
    MEGABYTE,
    { serverId: null },
    { serverId: 1 },
    { serverId: ['e1'] },
    { serverId: {} },
    { serverId: '' },
    { serverId: 'two\nlines' },
    { serverId: '\ud800' },
    { serverId: MEGABYTE }
  ]
  for (const payload of bad) {
    for (const ack of [await client.subscribe(payload), await client.unsubscribe(payload)])
      t.match(
        ack,
        { status: 'error', message: /^give an object \{serverId\?\}/ },
        JSON.stringify(payload).slice(0, 40)
      )
  }
  t.match(await client.socket.emitWithAck('drop_tables', {}), {
    status: 'error',
    message: /^this event is unknown/
  })
  for (const args of [[], [null], [[]], [{}, {}, 1]]) client.socket.emit('subscribe_mcp_connections', ...args)
  t.match(
    await client.socket.emitWithAck('subscribe_mcp_connections'),
    { status: 'subscribed' },
    'no payload is {}'
  )
  t.match(await client.subscribe({ serverId: 'e', other: 1 }), { status: 'subscribed' })
  const ids = Array.from({ length: 120 }, (_, i) => `e${i}`)
  const acks = await Promise.all(ids.map(serverId => client.subscribe({ serverId })))
  t.equal(acks.filter(ack => ack.status === 'subscribed').length, 98, 'a hundred rooms a client')
  t.match(acks.at(-1), { status: 'error', message: /at most 100 rooms/ })
  t.equal(turnstile.process.exitCode, null)
})

void t.test('ten thousand subscriptions and the like leave nothing', { timeout: 120_000 }, async t => {
  const inspectorPort = await freePort()
  const turnstile = await startTurnstile(t, [], [`--inspect=127.0.0.1:${inspectorPort}`])
  const client = await subscriber(t, turnstile)
  const loop = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const payload = i % 3 === 0 ? {} : { serverId: `e${i}` }
      const [subscribed, unsubscribed] = await Promise.all([
        client.subscribe(payload),
        client.unsubscribe(payload)
      ])
      if (subscribed.status !== 'subscribed' || unsubscribed.status !== 'unsubscribed')
        t.fail('acks', { subscribed })
    }
  }
  await loop(500)
  const before = await heapUsedBytes(inspectorPort)
  await loop(10_000)
  const grown = (await heapUsedBytes(inspectorPort)) - before
  t.comment(`heap grew by ${grown} bytes`)
  t.ok(grown < 3_000_000)
})

void t.test('the handshake needs a token when one is set', async t => {
  const turnstile = await startTurnstile(t, ['--admin-token', 'read:reader,writer'])
  const refused = async (options: Parameters<typeof Subscriber.connect>[1], message: RegExp) => {
    await t.rejects(Subscriber.connect(turnstile.adminUrl, options), { message })
  }
  for (const token of [undefined, '', null, 'wrong', 'reader ', ['reader'], { reader: 1 }])
    await refused({ auth: { token } }, /^the admin token is missing or wrong/)
  await refused({ extraHeaders: { authorization: 'Bearer wrong' } }, /missing or wrong/)
  for (const options of [
    { auth: { token: 'reader' } },
    { auth: { token: 'writer' }, transports: ['websocket'] },
    { extraHeaders: { authorization: 'Bearer reader' } }
  ]) {
    const one = await subscriber(t, turnstile, options)
    t.match(await one.subscribe(), { status: 'subscribed' })
  }
  for (let i = 0; i < 10; i++) await refused({ auth: { token: `guess-${i}` } }, /missing or wrong|too many/)
  await refused({ auth: { token: 'reader' } }, /^too many wrong tokens/)
})

void t.test('foreign web pages, and names that are not loopback, are refused', async t => {
  const turnstile = await startTurnstile(t)
  for (const transports of [['polling'], ['websocket']]) {
    const from = (origin: string) =>
      Subscriber.connect(turnstile.adminUrl, { transports, extraHeaders: { origin } })
    await t.rejects(from('http://evil.example'))
    ;(await from(turnstile.adminUrl)).close()
  }
  const ask = request(`${turnstile.adminUrl}/socket.io/?EIO=4&transport=polling`, {
    headers: { host: 'evil.example' }
  }).end()
  const [answer] = (await once(ask, 'response')) as [IncomingMessage]
  t.equal(answer.resume().statusCode, 403)
})

void t.test('sessions of other proxies of the store are told within two seconds', async t => {
  const database = await startDatabase()
  t.teardown(() => database.stop())
  const store = ['--store', await freshDatabase(database.url)]
  const [one, two] = [
    await Turnstile.start(gateway.url, t.testdir({ one: {}, two: {} }) + '/one', store),
    await Turnstile.start(gateway.url, `${t.testdirName}/two`, store)
  ]
  t.teardown(() => Promise.all([one.stop(), two.stop()]))
  const listener = await subscriber(t, one)
  await listener.subscribe()
  for (let i = 0; i < 5; i++) {
    const id = await openSession(two, 'e')
    const openedAt = performance.now()
    await listener.notice(n => n.event === 'mcp_connection_established' && n.connection.sessionId === id)
    const openMs = performance.now() - openedAt
    await closeSession(i % 2 === 0 ? one : two, 'e', id)
    const closedAt = performance.now()
    await listener.notice(n => n.event === 'mcp_connection_closed' && n.sessionId === id)
    const closeMs = performance.now() - closedAt
    t.ok(openMs < 2_000 && closeMs < 2_000, `${openMs.toFixed()} ms, ${closeMs.toFixed()} ms`)
  }
  await listener.dataWhere(stats => stats.activeConnections === 0 && stats.totalConnections === 5)
  t.equal(listener.notices.length, 10)
})

void t.test('an open is told with the name and version of the client, by each proxy', async t => {
  const database = await startDatabase()
  const naming = await startFakeGateway(introduceLater)
  t.teardown(() => Promise.all([database.stop(), naming.stop()]))
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { clientInfo: { name: 'teller', version: '1.2.3' } }
  })
  const shared = ['--store', await freshDatabase(database.url)]
  const directory = t.testdir({ one: {}, two: {}, embedded: {} })
  const [one, two, embedded] = [
    await Turnstile.start(naming.url, `${directory}/one`, shared),
    await Turnstile.start(naming.url, `${directory}/two`, shared),
    await Turnstile.start(naming.url, `${directory}/embedded`)
  ]
  t.teardown(() => Promise.all([one, two, embedded].map(turnstile => turnstile.stop())))
  for (const [told, opened] of [
    [one, two],
    [embedded, embedded]
  ] as const) {
    const listener = await subscriber(t, told)
    await listener.subscribe()
    // One after the other, so that they open at all times of the second.
    for (let i = 0; i < 12; i++) {
      const response = await fetch(`${opened.proxyUrl}/stream/e`, { method: 'POST', body })
      await response.text()
    }
    const established = (): typeof listener.notices =>
      listener.notices.filter(({ event }) => event === 'mcp_connection_established')
    await listener.notice(() => established().length === 12)
    const named = { clientName: 'teller', clientVersion: '1.2.3', protocolVersion: '2025-11-25' }
    t.match(
      established(),
      Array.from({ length: 12 }, () => ({ connection: named }))
    )
  }
})

void t.test('live monitoring can be left out', async t => {
  const turnstile = await startTurnstile(t, ['--monitoring=false'])
  for (const path of [
    '/api/mcp/status',
    '/api/mcp/connections',
    '/internal/connections',
    '/socket.io/?EIO=4'
  ])
    t.equal((await fetch(turnstile.adminUrl + path)).status, 404, path)
  await t.rejects(Subscriber.connect(turnstile.adminUrl))
  await openSession(turnstile, 'e')
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 1, 'sessions are counted')
})
