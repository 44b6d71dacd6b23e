// Owns the tests of the sessions of a time range: a page when it is looked at, and what happens meanwhile.
import t from 'tap'
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import type { Page, PageReader, QueryParameters } from '../../src/dashboard/page-reader.js'
import { PastSessions } from '../../src/dashboard/past-sessions.js'
import { fromRow, listKey } from '../../src/dashboard/sessions.js'

const query = {
  start: 0,
  end: 1_000,
  endpointId: undefined,
  transport: undefined,
  upstream: undefined,
  principal: undefined,
  conversation: undefined
}

const row = (id: number): ConnectionRow => ({
  id,
  endpoint_id: 'files',
  session_id: `s-${id}`,
  transport_type: 2,
  connect_at: new Date(id).toISOString(),
  disconnect_at: new Date(id + 1).toISOString(),
  reason: 'delete',
  last_seen_at: new Date(id).toISOString(),
  request_count: 1,
  bytes_in: 0,
  bytes_out: 0,
  call_count: 0,
  error_count: 0,
  unread_count: 0,
  upstream: null,
  client_address: '192.0.2.7',
  user_agent: null,
  client_name: null,
  client_version: null,
  protocol_version: null,
  principal: null,
  principal_kind: null,
  oauth_client: null,
  conversation: null
})

/** A history of so many rows; `asked` has the questions. */
function history(rows: number): PageReader & { asked: [string, QueryParameters | undefined][] } {
  const asked: [string, QueryParameters | undefined][] = []
  return {
    asked,
    page<Body>(path: string, parameters?: QueryParameters) {
      asked.push([path, parameters])
      const from = Number(path.split('=')[1] ?? 0)
      const body = Array.from({ length: Math.min(1_000, rows - from) }, (_, i) => row(rows - from - i))
      const next = from + 1_000 < rows ? `/next?from=${from + 1_000}` : undefined
      return Promise.resolve({ body, next } as Page<Body>)
    }
  }
}

void t.test('a page when it is asked for, newest first, until there is no more', async t => {
  const pages = history(1_500)
  const past = new PastSessions(pages)
  t.equal(await past.load({ ...query, endpointId: 'files', transport: 'sse', principal: 'alice' }), true)
  t.equal(past.list().length, 1_000)
  t.equal(past.list()[0]?.sessionId, 's-1500')
  t.ok(past.hasMore)
  await Promise.all([past.more(), past.more()])
  t.equal(past.list().length, 1_500)
  t.notOk(past.hasMore)
  await past.more()
  t.strictSame(pages.asked, [
    [
      '/api/connections/endpoint',
      {
        start_time: 0,
        end_time: 1_000,
        endpoint_id: 'files',
        transport: 'sse',
        upstream: undefined,
        principal: 'alice',
        conversation: undefined,
        limit: 1_000
      }
    ],
    ['/next?from=1000', {}]
  ])
})

void t.test('an empty range', async t => {
  const past = new PastSessions(history(0))
  await past.load(query)
  t.same(past.list(), [])
  t.notOk(past.hasMore)
})

void t.test('another query replaces all, also while a page is read', async t => {
  const past = new PastSessions(history(2_500))
  const loads = await Promise.all([past.load(query), past.load({ ...query, end: 2_000 })])
  t.same(loads, [false, true])
  t.equal(past.list().length, 1_000)
})

void t.test('no more than twenty thousand; what is listed is still kept up to date', async t => {
  const past = new PastSessions(history(30_000))
  await past.load(query)
  while (past.hasMore) await past.more()
  t.ok(past.isCut)
  t.equal(past.list().length, 20_000)
  past.note(fromRow(row(30_001)))
  past.note({ ...fromRow(row(30_000)), requestCount: 99 })
  t.equal(past.list().length, 20_000)
  t.equal(past.get(listKey('files', 's-30001')), undefined)
  t.equal(past.get(listKey('files', 's-30000'))?.requestCount, 99)
})

void t.test('what was listed stays until another query is read, and if it cannot be read', async t => {
  let isAway = false
  const pages = history(3)
  const past = new PastSessions({
    page: <Body>(path: string, parameters?: QueryParameters) =>
      isAway ? Promise.reject(new Error('the store is away')) : pages.page<Body>(path, parameters)
  })
  await past.load(query)
  isAway = true
  await t.rejects(past.load(query), { message: 'the store is away' })
  t.equal(past.list().length, 3)
  past.clear()
  t.same(past.list(), [])
})

void t.test('what is seen live while the first page is read counts more than what the page says', async t => {
  const past = new PastSessions(history(3))
  const loading = past.load(query)
  await new Promise(setImmediate)
  past.note({ ...fromRow(row(3)), requestCount: 99 })
  past.note(fromRow(row(7)))
  await loading
  t.equal(past.get(listKey('files', 's-3'))?.requestCount, 99)
  t.equal(past.list().length, 4)
})
