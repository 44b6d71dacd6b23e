// Owns the tests of the open sessions: pages read while sessions come and go, and a list that is read again when it is wrong.
import t from 'tap'
import type { ConnectionInfo, ConnectionStats } from '../../src/admin/schemas/monitoring-responses.js'
import { OpenSessions } from '../../src/dashboard/open-sessions.js'
import type { Page, PageReader } from '../../src/dashboard/page-reader.js'
import { listKey } from '../../src/dashboard/sessions.js'

const info = (sessionId: string, given: Partial<ConnectionInfo> = {}): ConnectionInfo => ({
  sessionId,
  clientIP: '192.0.2.7',
  userAgent: 'node',
  connectedAt: '2026-11-21T11:00:00.000Z',
  lastActivity: '2026-11-21T11:00:00.000Z',
  requestCount: 1,
  bytesIn: 0,
  bytesOut: 0,
  callCount: 0,
  errorCount: 0,
  unreadCount: 0,
  endpointId: 'files',
  transport: 'streamable',
  upstream: null,
  clientName: null,
  clientVersion: null,
  protocolVersion: null,
  principal: null,
  principalKind: null,
  oauthClient: null,
  conversation: null,
  ...given
})

const stats = (connections: ConnectionInfo[], activeConnections = connections.length): ConnectionStats => ({
  activeConnections,
  activePrincipals: activeConnections,
  activeConversations: activeConnections,
  totalConnections: activeConnections,
  connections,
  lastUpdated: '2026-11-21T11:00:00.000Z'
})

/** An admin port whose pages come when a test gives them; `asked` has their paths. */
class SlowPages implements PageReader {
  readonly asked: string[] = []
  readonly #waiting: ((page: Page<unknown>) => void)[] = []

  page<Body>(path: string): Promise<Page<Body>> {
    this.asked.push(path)
    return new Promise(resolve => this.#waiting.push(resolve as (page: Page<unknown>) => void))
  }

  /** Answers the question that waits longest. */
  async give(sessionIds: string[], next?: string): Promise<void> {
    this.#waiting.shift()!({ body: stats(sessionIds.map(id => info(id))), next })
    await new Promise(setImmediate)
  }
}

const ids = (sessions: OpenSessions): string[] => sessions.list().map(({ sessionId }) => sessionId)

void t.test('all pages make the list', async t => {
  const pages = new SlowPages()
  const sessions = new OpenSessions(pages)
  const loaded = sessions.load(undefined)
  await pages.give(['a', 'b'], '/api/mcp/connections?cursor=x')
  t.same(ids(sessions), [], 'nothing before all of it is there')
  await pages.give(['c'])
  t.equal(await loaded, true)
  t.same(ids(sessions), ['a', 'b', 'c'])
  t.same(pages.asked, ['/api/mcp/connections', '/api/mcp/connections?cursor=x'])
})

void t.test('what happens while pages are read counts more than what they say', async t => {
  const pages = new SlowPages()
  const sessions = new OpenSessions(pages)
  const loaded = sessions.load(undefined)
  sessions.opened(info('new'))
  sessions.closed('files', 'old')
  sessions.opened(info('short'))
  sessions.closed('files', 'short')
  await pages.give(['old', 'kept', 'short'])
  t.equal(await loaded, true)
  t.same(ids(sessions), ['kept', 'new'])
})

void t.test('of two readings only the later one counts', async t => {
  const pages = new SlowPages()
  const sessions = new OpenSessions(pages)
  const [first, second] = [sessions.load('mail'), sessions.load('files')]
  await pages.give(['of mail'])
  await pages.give(['of files'])
  t.equal(await first, false)
  t.equal(await second, true)
  t.same(ids(sessions), ['of files'])
})

void t.test('a list that differs from the count for more than three seconds is to be read again', async t => {
  const pages = new SlowPages()
  const sessions = new OpenSessions(pages)
  void sessions.load(undefined)
  await pages.give(['a'])
  t.equal(sessions.update(stats([info('a')]), 0), false)
  t.equal(sessions.update(stats([info('a'), info('b')]), 1_000), false, 'its notice may be on the way')
  t.equal(sessions.update(stats([info('a'), info('b')]), 4_000), false)
  t.equal(sessions.update(stats([info('a'), info('b')]), 4_001), true)
  sessions.opened(info('b'))
  t.equal(sessions.update(stats([info('a'), info('b')]), 4_002), false)
})

void t.test('use of the newest is told with the state; a session that is not listed stays so', async t => {
  const pages = new SlowPages()
  const sessions = new OpenSessions(pages)
  void sessions.load(undefined)
  await pages.give(['a'])
  const counts = { requestCount: 5, bytesIn: 1, bytesOut: 2, callCount: 3, errorCount: 4, unreadCount: 6 }
  const lastActivity = '2026-11-21T12:00:00.000Z'
  sessions.update(stats([info('a', { ...counts, lastActivity, clientName: 'inspector' }), info('x')]), 0)
  t.match(sessions.get(listKey('files', 'a')), {
    ...counts,
    lastSeenAt: Date.parse(lastActivity),
    clientName: 'inspector'
  })
  t.equal(sessions.get(listKey('files', 'x')), undefined)
  t.equal(sessions.closed('files', 'x'), undefined)
  t.equal(sessions.closed('files', 'a')?.requestCount, 5)
})
