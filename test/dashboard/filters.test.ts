// Owns the tests of which sessions match the filters.
import t from 'tap'
import { asked, type Filters, isNarrowed, matcher, noFilters } from '../../src/dashboard/filters.js'
import type { ListedSession } from '../../src/dashboard/sessions.js'

const session: ListedSession = {
  key: 'files s-1',
  endpointId: 'files',
  sessionId: 'B617F591',
  transport: 'streamable',
  connectedAt: 0,
  lastSeenAt: 0,
  ended: null,
  requestCount: 1,
  bytesIn: 0,
  bytesOut: 0,
  callCount: 0,
  errorCount: 0,
  unreadCount: 0,
  address: '192.0.2.7',
  userAgent: 'node',
  clientName: 'Claude Desktop',
  clientVersion: '1.2.3',
  protocolVersion: null,
  upstream: 'gw-1',
  principal: 'alice@example.com',
  principalKind: 'oauth',
  oauthClient: null,
  conversation: 'thread-7'
}

const matches = (filters: Partial<Filters>, of = session): boolean =>
  matcher({ ...noFilters, ...filters })(of)

void t.test('without filters all match, whatever the state', t => {
  t.notOk(isNarrowed(noFilters))
  t.notOk(isNarrowed({ ...noFilters, state: 'ended' }))
  t.ok(matches({}))
  t.end()
})

void t.test('a text is looked for in what describes a client, in any case of letters', t => {
  t.ok(isNarrowed({ ...noFilters, text: 'x' }))
  for (const text of ['CLAUDE', 'desktop', '1.2.3', 'NODE', '192.0.2', 'b617f', 'Alice'])
    t.ok(matches({ text }), text)
  for (const text of ['files', 'claude  desktop', 'null', 'x'.repeat(10_000)])
    t.notOk(matches({ text }), text.slice(0, 20))
  const silent = { ...session, clientName: null, clientVersion: null, userAgent: '', principal: null }
  t.notOk(matches({ text: 'null' }, silent), 'a client without a name is not called null')
  t.end()
})

void t.test('each filter matches one value exactly, and all must match', t => {
  const ended = { ...session, ended: { at: 1, reason: 'idle' } }
  const filters = {
    transport: ['streamable', 'sse'],
    reason: ['idle', 'delete'],
    upstream: ['gw-1', 'gw'],
    principal: ['alice@example.com', 'alice'],
    conversation: ['thread-7', 'thread']
  } as const
  for (const [name, [right, wrong]] of Object.entries(filters)) {
    t.ok(isNarrowed({ ...noFilters, [name]: right }), name)
    t.ok(matches({ [name]: right }, ended), `${name} ${right}`)
    t.notOk(matches({ [name]: wrong }, ended), `${name} ${wrong}`)
    t.notOk(matches({ [name]: right, text: 'deno' }, ended), `${name} and a text that is not there`)
  }
  t.notOk(matches({ reason: 'idle' }), 'an open session has no reason')
  t.notOk(matches({ principal: 'null' }, { ...session, principal: null }))
  t.end()
})

void t.test('a masked name is not asked for: the admin port does not know it', t => {
  t.equal(asked('masked-0123456789abcdef'), undefined)
  t.equal(asked('masked-somebody'), 'masked-somebody')
  t.equal(asked(undefined), undefined)
  t.end()
})
