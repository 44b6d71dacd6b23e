// Owns the tests of the one form that sessions have in the dashboard, whichever way they came.
import t from 'tap'
import type { ConnectionInfo } from '../../src/admin/schemas/monitoring-responses.js'
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import {
  clientLabel,
  fromInfo,
  fromRow,
  listKey,
  newestFirst,
  personLabel
} from '../../src/dashboard/sessions.js'

const info: ConnectionInfo = {
  sessionId: 's-1',
  clientIP: '192.0.2.7',
  userAgent: '',
  connectedAt: '2026-11-21T11:00:00.005Z',
  lastActivity: '2026-11-21T11:29:00.000Z',
  requestCount: 12,
  bytesIn: 101,
  bytesOut: 102,
  callCount: 3,
  errorCount: 4,
  unreadCount: 5,
  endpointId: 'files',
  transport: 'sse',
  upstream: null,
  clientName: null,
  clientVersion: null,
  protocolVersion: null,
  principal: null,
  principalKind: null,
  oauthClient: null,
  conversation: null
}
const row: ConnectionRow = {
  id: 7,
  endpoint_id: 'files',
  session_id: 's-1',
  transport_type: 1,
  connect_at: '2026-11-21T11:00:00.005Z',
  disconnect_at: '2026-11-21T11:00:00.005Z',
  reason: null,
  last_seen_at: '2026-11-21T11:29:00.000Z',
  request_count: 12,
  bytes_in: 101,
  bytes_out: 102,
  call_count: 3,
  error_count: 4,
  unread_count: 5,
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
}

void t.test('a session is the same, live or from the history', t => {
  t.strictSame(fromRow(row), fromInfo(info))
  t.strictSame(
    [2, 3].map(transport_type => fromRow({ ...row, transport_type }).transport),
    ['streamable', 'sessionless']
  )
  t.end()
})

void t.test('an ended one has its end and its reason', t => {
  const ended = fromRow({ ...row, disconnect_at: '2026-11-21T11:30:00.000Z', reason: 'delete' })
  t.strictSame(ended.ended, { at: Date.UTC(2026, 10, 21, 11, 30), reason: 'delete' })
  t.equal(ended.key, fromRow(row).key, 'under the same key')
  t.end()
})

void t.test('the same id on two endpoints is two sessions', t => {
  t.not(listKey('files', 's'), listKey('mail', 's'))
  t.not(listKey('a', 'b-c'), listKey('a-b', 'c'))
  t.end()
})

void t.test('a client is called by its name, else by its user agent', t => {
  const session = fromInfo(info)
  t.equal(clientLabel(session), 'unknown client')
  t.equal(clientLabel({ ...session, userAgent: 'node' }), 'node')
  t.equal(clientLabel({ ...session, userAgent: 'node', clientName: 'inspector' }), 'inspector')
  const long = 'x'.repeat(10_000)
  t.equal(clientLabel({ ...session, clientName: long }), long, 'long names are cut by the style sheet only')
  t.end()
})

void t.test('a person is called without the issuer of the token', t => {
  for (const [principal, label] of [
    [null, ''],
    ['alice', 'alice'],
    ['https://login.example/realm#alice', 'alice'],
    ['https://login.example#a#b', 'a#b'],
    ['https://login.example#', 'https://login.example#'],
    ['#7', '#7']
  ] as const)
    t.equal(personLabel({ ...fromInfo(info), principal }), label)
  t.end()
})

void t.test('newest first; of the same moment always in the same order', t => {
  const at = (key: string, connectedAt: number) => ({ ...fromInfo(info), key, connectedAt })
  const sessions = [at('b', 1), at('c', 2), at('a', 1)]
  for (const given of [sessions, [...sessions].reverse()])
    t.same(
      [...given].sort(newestFirst).map(({ key }) => key),
      ['c', 'a', 'b']
    )
  t.end()
})
