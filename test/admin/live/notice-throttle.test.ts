// Owns the tests of how many notices are sent within a second.
import t from 'tap'
import { NoticeThrottle } from '../../../src/admin/live/notice-throttle.js'

void t.test('ten thousand sends a second, those left out are logged', t => {
  const warnings: unknown[] = []
  const log = {
    error: () => undefined,
    info: () => undefined,
    warn: (details: object) => void warnings.push(details)
  }
  let now = 5_000
  const throttle = new NoticeThrottle(log, () => now)
  t.ok(throttle.maySend(6_000))
  t.ok(throttle.maySend(4_000), 'just as many as allowed')
  t.notOk(throttle.maySend(1))
  now = 5_999
  t.notOk(throttle.maySend(1), 'still the same second')
  t.same(warnings, [{ readers: 1 }], 'one warning, not one for each notice')
  now = 6_000
  t.ok(throttle.maySend(10_000), 'a new second')
  t.notOk(throttle.maySend(1))
  t.end()
})
