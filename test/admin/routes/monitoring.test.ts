// Owns the tests of the monitoring interface's REST side: names, types, pages, masks, and the gateway's tools.
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { Check } from 'typebox/value'
import { Mask } from '../../../src/admin/access/mask.js'
import {
  ConnectionInfo,
  ConnectionStats,
  GatewayHealth,
  GatewayStatus,
  type ConnectionInfo as Info,
  type ConnectionStats as Stats,
  type PrincipalInfo
} from '../../../src/admin/schemas/monitoring-responses.js'
import { HOUR, nextPage, NOW, session, startMonitoring } from '../../support/admin-under-test.js'
import { startEverything } from '../../support/everything.js'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { MemoryStore } from '../../support/memory-store.js'

const STATS_PATHS = ['/api/mcp/connections', '/internal/connections']

const full = session({
  sessionId: 'b617f591-4c07-4852-a3db-11f6621f0626',
  connectAt: Date.UTC(2026, 10, 21, 11, 0, 0, 5),
  lastSeenAt: Date.UTC(2026, 10, 21, 11, 29),
  requestCount: 12,
  bytesIn: 1,
  bytesOut: 2,
  callCount: 3,
  errorCount: 4,
  unreadCount: 5,
  userAgent: 'node',
  clientName: 'inspector',
  clientVersion: '1.2',
  protocolVersion: '2025-11-25',
  principal: 'https://id.example#ann',
  principalKind: 'oauth',
  oauthClient: 'agent',
  conversation: 'c-1'
})
const fullInfo: Info = {
  sessionId: 'b617f591-4c07-4852-a3db-11f6621f0626',
  clientIP: '192.0.2.7',
  userAgent: 'node',
  connectedAt: '2026-11-21T11:00:00.005Z',
  lastActivity: '2026-11-21T11:29:00.000Z',
  requestCount: 12,
  bytesIn: 1,
  bytesOut: 2,
  callCount: 3,
  errorCount: 4,
  unreadCount: 5,
  endpointId: 'files',
  transport: 'streamable',
  upstream: null,
  clientName: 'inspector',
  clientVersion: '1.2',
  protocolVersion: '2025-11-25',
  principal: 'https://id.example#ann',
  principalKind: 'oauth',
  oauthClient: 'agent',
  conversation: 'c-1'
}

void t.test('stats: open sessions newest first, and how many there ever were', async t => {
  const store = new MemoryStore([
    full,
    session({ sessionId: 'newer', connectAt: NOW - 1, transport: 1 }),
    session({ connectAt: NOW - 2, disconnectAt: NOW - 1 }),
    session({ sessionId: 'elsewhere', endpointId: 'mail', transport: 3 })
  ])
  const { ask } = startMonitoring(t, { store })
  for (const path of STATS_PATHS) {
    const stats = await ask<Stats>(path)
    t.ok(Check(ConnectionStats, stats))
    t.match(stats, { activeConnections: 3, totalConnections: 4, lastUpdated: '2026-11-21T12:00:30.000Z' })
    t.strictSame(
      stats.connections.map(info => [info.sessionId, info.transport]),
      [
        ['newer', 'sse'],
        ['elsewhere', 'sessionless'],
        [full.sessionId, 'streamable']
      ]
    )
    t.strictSame(stats.connections[2], fullInfo)
    t.equal(stats.connections[0]?.userAgent, '')
    t.match(await ask(path, { endpointId: 'mail' }), { activeConnections: 1, totalConnections: 1 })
    t.match(await ask(path, { endpointId: 'nowhere' }), { activeConnections: 0, connections: [] })
    t.match(await ask(path, { endpointId: 'not storable: \n' }), { totalConnections: 0, connections: [] })
  }
  t.strictSame(await ask('/api/mcp/connections/count'), {
    activeConnections: 3,
    timestamp: '2026-11-21T12:00:30.000Z'
  })
  t.match(await ask('/api/mcp/connections/count', { endpointId: 'mail' }), { activeConnections: 1 })
})

void t.test('the list and its counts are of one moment', async t => {
  const store = new MemoryStore()
  const open = { openNum: 1, principalNum: 2, conversationNum: 3 }
  store.snapshot = () => Promise.resolve({ rows: [full], totals: { openNum: 1, openedNum: 7 }, open })
  const { ask } = startMonitoring(t, { store })
  for (const path of STATS_PATHS)
    t.match(await ask(path), {
      ...{ activeConnections: 1, activePrincipals: 2, activeConversations: 3, totalConnections: 7 },
      connections: [fullInfo]
    })
  t.match(await ask('/api/mcp/status'), { connections: { active: 1, total: 7, details: [fullInfo] } })
})

void t.test('twenty thousand open sessions: a thousand at a time, every one once', async t => {
  const rows = Array.from({ length: 20_000 }, (_, i) => session({ id: i + 1, connectAt: NOW - (i % 5_000) }))
  const { app, get } = startMonitoring(t, { store: new MemoryStore(rows) })
  const first = await get('/api/mcp/connections')
  t.equal(first.json<Stats>().connections.length, 1_000)
  t.equal(first.json<Stats>().activeConnections, 20_000)
  const seen = new Set<string>()
  let pages = 0
  let url: string | undefined = '/api/mcp/connections?limit=10000'
  while (url !== undefined) {
    const page = await app.inject(url)
    page.json<Stats>().connections.forEach(info => seen.add(info.sessionId))
    url = nextPage(page)
    pages++
  }
  t.equal(pages, 2)
  t.equal(seen.size, 20_000)
})

void t.test('one session, while it is open', async t => {
  const store = new MemoryStore([
    full,
    session({ sessionId: 'gone', disconnectAt: NOW }),
    session({ sessionId: 'same', endpointId: 'a', requestCount: 1 }),
    session({ sessionId: 'same', endpointId: 'b', requestCount: 2 })
  ])
  const { ask, get } = startMonitoring(t, { store })
  const info = await ask<Info>(`/api/mcp/connections/${full.sessionId}`)
  t.strictSame(info, fullInfo)
  t.ok(Check(ConnectionInfo, info))
  t.match(await ask('/api/mcp/connections/same', { endpointId: 'b' }), { requestCount: 2 })
  for (const id of ['gone', 'nobody', 'x'.repeat(8_000), '%20', "'%3B--"]) {
    const response = await get(`/api/mcp/connections/${id}`)
    t.equal(response.statusCode, 404)
    t.strictSame(response.json(), { error: 'Connection not found', sessionId: decodeURIComponent(id) })
  }
})

void t.test('with --mask addresses are truncated and ids hashed, and still name their session', async t => {
  const store = new MemoryStore([
    full,
    session({ sessionId: 'b617f591-other', clientAddress: '2001:db8:7::1' })
  ])
  const mask = new Mask(Buffer.from('key'), true)
  const { ask, get, app, control } = startMonitoring(t, { store, mask })
  const { connections } = await ask<Stats>('/api/mcp/connections')
  const [other, one] = connections
  t.match(one, { sessionId: /^b617f591-[\da-f]{16}$/, clientIP: '192.0.2.0' })
  t.match(other, { sessionId: /^b617f59-[\da-f]{16}$/, clientIP: '2001:db8:7::' })
  t.match(await ask('/api/connections/endpoint'), [
    { session_id: other!.sessionId },
    { session_id: one!.sessionId, client_address: '192.0.2.0' }
  ])
  t.match(await ask(`/api/mcp/connections/${one!.sessionId}`), { requestCount: 12 })
  t.match(await ask(`/api/mcp/connections/${full.sessionId}`), { sessionId: one!.sessionId })
  t.equal((await get('/api/mcp/connections/b617f591-0000000000000000')).statusCode, 404)
  await app.inject({ method: 'DELETE', url: `/api/mcp/connections/${one!.sessionId}` })
  t.same(control.done, [`end files ${full.sessionId}`])
  const elsewhere = new Mask(Buffer.from('another key'), true)
  t.not(elsewhere.sessionId(full.sessionId), one!.sessionId)
})

void t.test('masks of addresses', t => {
  const mask = new Mask(Buffer.from('key'), true)
  for (const [address, masked] of [
    ['203.0.113.255', '203.0.113.0'],
    ['::1', '::'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
    ['2001:db8::9', '2001:db8:0::'],
    ['fe80::1%eth0', 'fe80:0:0::'],
    ['', '']
  ])
    t.equal(mask.address(address!), masked)
  t.equal(
    mask.sessionId('shortone'),
    `shor-${mask.sessionId('shortone').slice(5)}`,
    'of a short id half is shown'
  )
  t.end()
})

void t.test('status and health without a gateway', async t => {
  const store = new MemoryStore([
    full,
    ...[1, 2, 3].map(i =>
      session({ id: 90 + i, connectAt: NOW - i * HOUR, disconnectAt: NOW - i * HOUR + 500 })
    )
  ])
  const { ask } = startMonitoring(t, { store })
  const status = await ask<Record<string, unknown>>('/api/mcp/status')
  t.ok(Check(GatewayStatus, status))
  t.match(status, {
    isRunning: false,
    toolsCount: 0,
    tools: [],
    endpoint: 'http://proxy/stream/{endpoint_id}',
    config: { mask: false },
    connections: { active: 1, total: 4, details: [fullInfo] }
  })
  t.match((status.connections as { history: unknown }).history, [
    { duration: 500, reason: 'delete', disconnectedAt: '2026-11-21T11:00:30.500Z' },
    { duration: 500 }
  ])
  const health = await ask('/api/mcp/health', { endpointId: 'files' })
  t.ok(Check(GatewayHealth, health))
  t.strictSame(health, {
    healthy: false,
    serverRunning: false,
    toolsCount: 0,
    endpoint: 'http://proxy/stream/files',
    connections: { active: 1, total: 4 },
    lastCheck: '2026-11-21T12:00:30.000Z'
  })
})

void t.test('health tells on which paths MCP passes that is not counted', async t => {
  const uncounted = [{ path: '/kites', advice: 'give --stream-path /mcp,/kites', requests: 2 }]
  const { ask } = startMonitoring(t, { uncounted })
  const health = await ask('/api/mcp/health')
  t.ok(Check(GatewayHealth, health))
  t.match(health, { uncounted })
})

void t.test('health is an answer while the store is away', async t => {
  const everything = await startEverything('streamableHttp')
  t.teardown(() => everything.stop())
  const store = new MemoryStore([full])
  const paths = { streamable: '/mcp', sse: '/sse' }
  const { ask, get } = startMonitoring(t, { store, gatewayUrl: everything.url, paths })
  t.match(await ask('/api/mcp/health'), { healthy: true, connections: { active: 1, total: 1 } })
  const fail = () => Promise.reject(new Error('ECONNREFUSED'))
  store.totals = fail
  store.connections = fail
  for (const query of [{}, { endpointId: 'files' }]) {
    const health = await ask('/api/mcp/health', query)
    t.ok(Check(GatewayHealth, health))
    t.match(health, { healthy: false, serverRunning: true, connections: { active: 0, total: 0 } })
  }
  t.equal((await get('/api/mcp/status')).statusCode, 500)
})

void t.test('tools are asked of the gateway, over either transport, and kept for a while', async t => {
  for (const [transport, path] of [
    ['streamableHttp', '/mcp'],
    ['sse', '/sse']
  ] as const) {
    const everything = await startEverything(transport)
    t.teardown(() => everything.stop())
    const { ask } = startMonitoring(t, { gatewayUrl: everything.url, paths: { streamable: path, sse: path } })
    const tools = await ask<{ name: string; inputSchema: object }[]>('/api/mcp/tools', { endpointId: 'any' })
    t.ok(
      tools.some(tool => tool.name === 'echo' && 'inputSchema' in tool),
      transport
    )
    t.match(await ask('/api/mcp/health', { endpointId: 'any' }), { healthy: true, toolsCount: tools.length })
    const before = performance.now()
    await ask('/api/mcp/tools', { endpointId: 'any' })
    t.ok(performance.now() - before < 100)
  }
})

async function startServer(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void t.test('a gateway that tells no tools is a 502, whatever it does instead', async t => {
  const fake = await startFakeGateway()
  t.teardown(() => fake.stop())
  const endless: RequestListener = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const write = (): void => {
      while (!response.destroyed && response.write('x'.repeat(100_000)));
    }
    response.on('drain', write)
    write()
  }
  const silent: RequestListener = request => void request.resume()
  for (const [gatewayUrl, reason] of [
    ['http://127.0.0.1:9', /fetch failed/],
    [fake.url, /tools of this endpoint: /],
    [await startServer(t, endless), /more than 1000000 bytes/],
    [await startServer(t, silent), /no answer within 5000 ms/]
  ] as const) {
    const { get } = startMonitoring(t, { gatewayUrl })
    const response = await get('/api/mcp/tools', { endpointId: 'e' })
    t.match(response.json(), { statusCode: 502, error: 'Bad Gateway', message: reason })
    t.equal(response.statusCode, 502)
  }
  const { get } = startMonitoring(t)
  t.match((await get('/api/mcp/tools')).json(), { statusCode: 400, message: /name one with endpointId/ })
})

void t.test('the proxies of the store, those of the last day', async t => {
  const store = new MemoryStore()
  const asked: number[] = []
  store.instances = since => {
    asked.push(since)
    return Promise.resolve([
      { id: 'here', heartbeatAt: NOW - 500, isLost: false },
      { id: 'gone', heartbeatAt: NOW - HOUR, isLost: true }
    ])
  }
  const { ask } = startMonitoring(t, { store })
  t.same(await ask('/api/mcp/proxies'), [
    { id: 'here', lastHeartbeat: '2026-11-21T12:00:29.500Z', lost: false },
    { id: 'gone', lastHeartbeat: '2026-11-21T11:00:30.000Z', lost: true }
  ])
  t.same(asked, [NOW - 24 * HOUR])
})

void t.test('principals, page by page, of all endpoints or of one', async t => {
  const of = (principal: string, endpointId: string, ended = false) =>
    session({ principal, principalKind: 'oauth', endpointId, ...(ended && { disconnectAt: NOW }) })
  const store = new MemoryStore([
    of('ann', 'a'),
    of('ann', 'b'),
    of('bob', 'b'),
    of('carl', 'a', true),
    session()
  ])
  const { app, ask } = startMonitoring(t, { store })
  const all = await ask<PrincipalInfo[]>('/api/mcp/principals')
  t.strictSame(all[0], {
    principal: 'ann',
    kind: 'oauth',
    activeConnections: 2,
    totalConnections: 2,
    requestCount: 2,
    lastActivity: '2026-11-21T11:00:30.000Z',
    endpoints: ['a', 'b']
  })
  t.same(
    all.map(({ principal, activeConnections }) => [principal, activeConnections]),
    [
      ['ann', 2],
      ['bob', 1],
      ['carl', 0]
    ]
  )
  const ofA = await ask<PrincipalInfo[]>('/api/mcp/principals', { endpointId: 'a' })
  t.match(ofA, [{ principal: 'ann', activeConnections: 1, endpoints: ['a'] }, { principal: 'carl' }])
  t.same(await ask('/api/mcp/principals', { endpointId: 'not storable: \n' }), [])
  const names: string[] = []
  let path: string | undefined = '/api/mcp/principals?limit=1'
  while (path !== undefined) {
    const response = await app.inject(path)
    names.push(...response.json<PrincipalInfo[]>().map(({ principal }) => principal))
    path = nextPage(response)
  }
  t.same(names, ['ann', 'bob', 'carl'])
  t.equal((await app.inject('/api/mcp/principals?cursor=x')).statusCode, 400)
  const masked = await startMonitoring(t, { store, mask: new Mask(Buffer.from('key'), true) }).ask<
    PrincipalInfo[]
  >('/api/mcp/principals')
  t.ok(masked.every(({ principal }) => /^masked-[0-9a-f]{16}$/.test(principal)))
})

void t.test('lists of one principal or conversation', async t => {
  const store = new MemoryStore([
    session({ sessionId: 'one', principal: 'ann', conversation: 'c' }),
    session({ sessionId: 'two', principal: 'ann' }),
    session({ sessionId: 'three', conversation: 'c' })
  ])
  const { ask } = startMonitoring(t, { store })
  for (const path of STATS_PATHS) {
    t.match(await ask(path, { principal: 'ann' }), { activeConnections: 2, activePrincipals: 1 })
    t.match(await ask(path, { conversation: 'c' }), { activeConnections: 2, activeConversations: 1 })
    const both = await ask<Stats>(path, { principal: 'ann', conversation: 'c' })
    t.same(
      both.connections.map(({ sessionId }) => sessionId),
      ['one']
    )
  }
})
