// Owns the tests of how the list of sessions is sorted.
import t from 'tap'
import type { ListedSession } from '../../src/dashboard/sessions.js'
import {
  chooseColumn,
  columnNames,
  defaultSorting,
  sorted,
  type Sorting
} from '../../src/dashboard/sorting.js'

const session = (key: string, given: Partial<ListedSession>): ListedSession => ({
  key,
  endpointId: 'files',
  sessionId: key,
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
  userAgent: '',
  clientName: null,
  clientVersion: null,
  protocolVersion: null,
  upstream: null,
  principal: null,
  principalKind: null,
  oauthClient: null,
  conversation: null,
  ...given
})

/** Newest first. */
const sessions = [
  session('c', {
    connectedAt: 30,
    endpointId: 'B',
    clientName: 'zed',
    requestCount: 5,
    lastSeenAt: 90,
    errorCount: 2,
    bytesOut: 7
  }),
  session('b', {
    connectedAt: 20,
    endpointId: 'a',
    clientName: 'Anna',
    transport: 'sse',
    lastSeenAt: 100,
    callCount: 3,
    bytesIn: 9
  }),
  session('a', {
    connectedAt: 10,
    endpointId: 'c',
    clientName: 'bob',
    requestCount: 9,
    callCount: 1,
    errorCount: 3,
    bytesIn: 5,
    bytesOut: 5,
    address: '10.0.0.1',
    ended: { at: 15, reason: 'idle' }
  })
]
const order = (sorting: Sorting) =>
  sorted(sessions, sorting, 100)
    .map(({ key }) => key)
    .join('')

void t.test('each column sorts, both ways', t => {
  const orders = {
    client: 'bac',
    endpoint: 'bca',
    transport: 'bca',
    address: 'acb',
    opened: 'abc',
    duration: 'acb',
    requests: 'bca',
    calls: 'cab',
    errors: 'bca',
    bytes: 'cba',
    state: 'cba'
  }
  t.same(Object.keys(orders).sort(), [...columnNames].sort())
  for (const column of columnNames) t.equal(order({ column, isDescending: false }), orders[column], column)
  for (const column of ['client', 'endpoint', 'opened', 'duration', 'requests', 'state'] as const)
    t.equal(
      order({ column, isDescending: true }),
      Array.from(orders[column]).reverse().join(''),
      `${column} down`
    )
  t.end()
})

void t.test('those that are equal stay newest first, whichever way', t => {
  const equal = [3, 2, 1].map(at => session(String(at), { connectedAt: at }))
  for (const isDescending of [true, false])
    t.same(
      sorted(equal, { column: 'requests', isDescending }, 0).map(({ key }) => key),
      ['3', '2', '1']
    )
  t.end()
})

void t.test('a column chosen again turns round; another one begins with what is looked for', t => {
  t.strictSame(chooseColumn(defaultSorting, 'opened'), { column: 'opened', isDescending: false })
  t.strictSame(chooseColumn(defaultSorting, 'requests'), { column: 'requests', isDescending: true })
  t.strictSame(chooseColumn(defaultSorting, 'client'), { column: 'client', isDescending: false })
  t.end()
})
