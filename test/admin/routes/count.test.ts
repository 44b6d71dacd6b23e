// Owns the tests of GET /api/connections/endpoint/count.
import t from 'tap'
import { COUNT, NOW, session, startAdmin } from '../../support/admin-under-test.js'
import { MemoryStore } from '../../support/memory-store.js'

const rows = [
  session({ transport: 1 }),
  session({ transport: 2 }),
  session({ transport: 2 }),
  session({ endpointId: 'mail', transport: 2 }),
  session({ connectAt: NOW - 10, disconnectAt: NOW })
]

/** An answer in which each session counts as a principal and a conversation of its own. */
const counted = (endpoint_id: string, connect_num: number) => ({
  endpoint_id,
  connect_num,
  principal_num: connect_num,
  conversation_num: connect_num
})

void t.test('open sessions of one endpoint, of all, of one transport', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  t.strictSame(await ask(COUNT, { endpoint_id: 'files' }), counted('files', 3))
  t.strictSame(await ask(COUNT), counted('all', 4))
  t.strictSame(await ask(COUNT, { transport: 'streamable' }), counted('all', 3))
  t.strictSame(await ask(COUNT, { endpoint_id: 'files', transport: 1 }), counted('files', 1))
})

void t.test('the different principals and conversations, those of one of them', async t => {
  const of = (endpointId: string, principal: string | null, conversation: string | null) =>
    session({ endpointId, principal, conversation })
  const store = new MemoryStore([
    of('files', 'ann', 'c'),
    of('files', 'ann', 'c'),
    of('mail', 'ann', 'c'),
    of('mail', 'bob', null),
    of('mail', null, null)
  ])
  const { ask } = startAdmin(t, { store })
  t.match(await ask(COUNT), { connect_num: 5, principal_num: 3, conversation_num: 4 })
  t.match(await ask(COUNT, { endpoint_id: 'files' }), {
    connect_num: 2,
    principal_num: 1,
    conversation_num: 1
  })
  t.match(await ask(COUNT, { principal: 'ann' }), { connect_num: 3, principal_num: 1, conversation_num: 2 })
  t.match(await ask(COUNT, { conversation: 'c', endpoint_id: 'mail' }), {
    connect_num: 1,
    conversation_num: 1
  })
  t.match(await ask(COUNT, { principal: 'nobody\n' }), { connect_num: 0, principal_num: 0 })
})

void t.test('an endpoint without sessions has 0, whatever its id', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  for (const endpoint_id of ['nobody', 'all', 'ü', '\n', 'x'.repeat(8_192)]) {
    t.strictSame(await ask(COUNT, { endpoint_id }), counted(endpoint_id, 0))
  }
  t.strictSame(await startAdmin(t).ask(COUNT), counted('all', 0), 'nor has an empty store')
})
