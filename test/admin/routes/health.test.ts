// Owns the tests of the probes.
import t from 'tap'
import { READY, startAdmin } from '../../support/admin-under-test.js'

void t.test('/healthz: the process is there, whatever else is the matter', async t => {
  const { app } = startAdmin(t, { health: () => ({ ...READY, ready: false }) })
  const response = await app.inject('/healthz')
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { status: 'ok' })
})

void t.test('/readyz: 200 or 503, with what each check found', async t => {
  let report = READY
  const { app } = startAdmin(t, { health: () => Promise.resolve(report) })
  const ready = await app.inject('/readyz')
  t.equal(ready.statusCode, 200)
  t.strictSame(ready.json(), report)
  report = { ...READY, ready: false, outbox: { ...READY.outbox, depth: 9 } }
  const late = await app.inject('/readyz')
  t.equal(late.statusCode, 503)
  t.strictSame(late.json(), report)
})

void t.test('/readyz: a check that fails is not ready either, and does not say why', async t => {
  const { app } = startAdmin(t, { health: () => Promise.reject(new Error('secret')) })
  const response = await app.inject('/readyz')
  t.equal(response.statusCode, 500)
  t.notMatch(response.body, 'secret')
})
