// Owns the tests of GET /api/connections/endpoint: which sessions, in what form.
import { createHash } from 'node:crypto'
import t from 'tap'
import { Check } from 'typebox/value'
import { ConnectionRow } from '../../../src/admin/schemas/query-responses.js'
import {
  CONNECTIONS,
  DAY,
  HOUR,
  MINUTE,
  NOW,
  nextPage,
  randomSessions,
  session,
  startAdmin,
  urlOf
} from '../../support/admin-under-test.js'
import { bruteConnections } from '../../support/brute-force.js'
import { MemoryStore } from '../../support/memory-store.js'
import { Random } from '../../support/random.js'

type Row = ConnectionRow

void t.test('a session is answered with these names and types', async t => {
  const row = session({
    id: 7,
    sessionId: 'abc',
    connectAt: Date.UTC(2026, 10, 21, 11, 0, 0, 5),
    disconnectAt: Date.UTC(2026, 10, 21, 11, 30),
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
    principal: 'ann',
    principalKind: 'header',
    conversation: 'c-1'
  })
  const [answer] = await startAdmin(t, { store: new MemoryStore([row]) }).ask<Row[]>(CONNECTIONS)
  t.strictSame(answer, {
    id: 7,
    endpoint_id: 'files',
    session_id: 'abc',
    transport_type: 2,
    connect_at: '2026-11-21T11:00:00.005Z',
    disconnect_at: '2026-11-21T11:30:00.000Z',
    reason: 'delete',
    last_seen_at: '2026-11-21T11:29:00.000Z',
    request_count: 12,
    bytes_in: 1,
    bytes_out: 2,
    call_count: 3,
    error_count: 4,
    unread_count: 5,
    client_address: '192.0.2.7',
    user_agent: 'node',
    client_name: 'inspector',
    client_version: '1.2',
    protocol_version: '2025-11-25',
    upstream: null,
    principal: 'ann',
    principal_kind: 'header',
    oauth_client: null,
    conversation: 'c-1'
  })
  t.ok(Check(ConnectionRow, answer), 'as the schema says')
})

void t.test('an open session has no reason, and ends when it began', async t => {
  const [answer] = await startAdmin(t, { store: new MemoryStore([session()]) }).ask<Row[]>(CONNECTIONS)
  t.equal(answer?.reason, null)
  t.equal(answer?.disconnect_at, answer?.connect_at)
  t.ok(Check(ConnectionRow, answer), 'as the schema says')
})

void t.test('sessions connected at any moment of the range, its ends included', async t => {
  const start = NOW - 2 * HOUR
  const end = NOW - HOUR
  const inside = [
    session({ connectAt: start - DAY }),
    session({ connectAt: end }),
    session({ connectAt: start - DAY, disconnectAt: start + 1 }),
    session({ connectAt: start + 1, disconnectAt: start + 2 })
  ]
  const outside = [
    session({ connectAt: end + 1 }),
    session({ connectAt: start - DAY, disconnectAt: start }),
    session({ connectAt: start - 2, disconnectAt: start - 1 })
  ]
  const { ask } = startAdmin(t, { store: new MemoryStore([...outside, ...inside]) })
  const answer = await ask<Row[]>(CONNECTIONS, { start_time: start, end_time: end })
  t.strictSame(new Set(answer.map(row => row.id)), new Set(inside.map(row => row.id)))
})

void t.test(
  'without a range: the 24 hours before now, or before end_time; up to now after start_time',
  async t => {
    const rows = [NOW + MINUTE, NOW, NOW - DAY + 1, NOW - DAY, NOW - 2 * DAY].map((connectAt, i) =>
      session({ id: i + 1, connectAt, disconnectAt: connectAt + 1 })
    )
    const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
    const ids = async (query: Record<string, number>) =>
      (await ask<Row[]>(CONNECTIONS, query)).map(row => row.id)
    t.strictSame(await ids({}), [2, 3, 4])
    t.strictSame(await ids({ end_time: NOW - DAY }), [4, 5])
    t.strictSame(await ids({ start_time: NOW - 2 * DAY }), [2, 3, 4, 5])
  }
)

void t.test('one endpoint, one transport by number or name', async t => {
  const rows = [
    session({ id: 1, transport: 1 }),
    session({ id: 2, transport: 2 }),
    session({ id: 3, transport: 3 }),
    session({ id: 4, transport: 1, endpointId: 'mail' })
  ]
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  const ids = async (query: Record<string, string>) =>
    (await ask<Row[]>(CONNECTIONS, query)).map(row => row.id)
  t.strictSame(await ids({ endpoint_id: 'mail' }), [4])
  t.strictSame(await ids({ endpoint_id: 'nobody' }), [])
  t.strictSame(await ids({ transport: 'sse' }), [4, 1])
  t.strictSame(await ids({ transport: '1', endpoint_id: 'files' }), [1])
  t.strictSame(await ids({ transport: 'streamable' }), [2])
  t.strictSame(await ids({ transport: 'sessionless' }), [3])
})

void t.test('an endpoint id is looked up as it is stored', async t => {
  const long = 'e'.repeat(300)
  const stored = `sha256-${createHash('sha256').update(long).digest('hex')}`
  const { ask } = startAdmin(t, { store: new MemoryStore([session({ endpointId: stored })]) })
  t.equal((await ask<Row[]>(CONNECTIONS, { endpoint_id: long })).length, 1)
  t.equal((await ask<Row[]>(CONNECTIONS, { endpoint_id: 'e'.repeat(8_192) })).length, 0)
  t.strictSame(await ask(CONNECTIONS, { endpoint_id: 'not storable: \n' }), [])
})

void t.test('pages: every session once, in the order of the whole, whatever the page size', async t => {
  const random = new Random()
  t.comment(`TEST_SEED=${random.seed}`)
  const rows = randomSessions(random, 3_000, ['files', 'mail', 'maps'])
  const { app, ask } = startAdmin(t, { store: new MemoryStore(rows) })
  for (let round = 0; round < 8; round++) {
    const start = NOW - random.int(HOUR, 2 * DAY)
    const end = start + random.int(0, DAY)
    const limit = random.pick([1, 7, 500, 1_000, 1_001, 10_000])
    const filter = random.chance(0.5) ? { endpointId: 'mail' } : {}
    const expected = bruteConnections(rows, { ...filter, start, end }).slice(0, 40 * limit)
    const query = {
      ...(filter.endpointId && { endpoint_id: 'mail' }),
      start_time: start,
      end_time: end,
      limit
    }
    let url: string | undefined = urlOf(CONNECTIONS, query)
    const ids: number[] = []
    while (url !== undefined && ids.length < expected.length) {
      const response = await app.inject(url)
      const page = response.json<Row[]>()
      url = nextPage(response)
      if (page.length > limit || (url !== undefined && page.length < limit))
        t.fail(`a page of ${page.length}`)
      ids.push(...page.map(row => row.id))
    }
    t.strictSame(
      ids,
      expected.map(row => row.id),
      `limit ${limit}, ${expected.length} sessions`
    )
  }
  t.equal(
    (await ask<Row[]>(CONNECTIONS, { start_time: 0 })).length,
    1_000,
    'a page has 1000 unless asked otherwise'
  )
})

void t.test('the next page: a Link with all parameters, only when there is one', async t => {
  const rows = Array.from({ length: 3 }, (_, i) => session({ endpointId: 'a&b+c=1?', id: i + 1 }))
  const endpoint_id = rows[0]!.endpointId
  const { app, get } = startAdmin(t, { store: new MemoryStore(rows) })
  const first = await get(CONNECTIONS, {
    endpoint_id,
    start_time: '2026-11-21 00:00:00',
    transport: 'streamable',
    limit: 2
  })
  const link = nextPage(first)
  const { pathname, searchParams } = new URL(link ?? '', 'http://admin')
  const { cursor, ...rest } = Object.fromEntries(searchParams)
  t.equal(pathname, CONNECTIONS)
  t.strictSame(
    rest,
    {
      endpoint_id,
      start_time: '2026-11-21 00:00:00',
      end_time: new Date(NOW).toISOString(),
      transport: 'streamable',
      limit: '2'
    },
    'an open end stays that of the first page'
  )
  t.match(cursor, /^[\w-]+$/)
  const second = await app.inject(link!)
  t.strictSame(
    second.json<Row[]>().map(row => row.id),
    [1]
  )
  t.notOk(second.headers.link)
  t.notOk((await get(CONNECTIONS, { limit: 3 })).headers.link, 'nor when the limit is just met')
})
