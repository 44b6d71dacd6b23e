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

void t.test('open sessions of one endpoint, of all, of one transport', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  t.strictSame(await ask(COUNT, { endpoint_id: 'files' }), { endpoint_id: 'files', connect_num: 3 })
  t.strictSame(await ask(COUNT), { endpoint_id: 'all', connect_num: 4 })
  t.strictSame(await ask(COUNT, { transport: 'streamable' }), { endpoint_id: 'all', connect_num: 3 })
  t.strictSame(await ask(COUNT, { endpoint_id: 'files', transport: 1 }), {
    endpoint_id: 'files',
    connect_num: 1
  })
})

void t.test('an endpoint without sessions has 0, whatever its id', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  for (const endpoint_id of ['nobody', 'all', 'ü', '\n', 'x'.repeat(8_192)]) {
    t.strictSame(await ask(COUNT, { endpoint_id }), { endpoint_id, connect_num: 0 })
  }
  t.strictSame(
    await startAdmin(t).ask(COUNT),
    { endpoint_id: 'all', connect_num: 0 },
    'nor has an empty store'
  )
})
