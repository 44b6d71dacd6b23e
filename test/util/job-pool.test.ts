// Owns the test of bounded concurrency over a list: how many jobs run at once, and what a failure does.
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { runAll } from '../../src/util/job-pool.js'

void t.test('every job of a list is done, and only so many run at once', async t => {
  let running = 0
  let most = 0
  const done: number[] = []
  await runAll([1, 2, 3, 4, 5, 6, 7], 3, async job => {
    most = Math.max(most, ++running)
    await setImmediate()
    running--
    done.push(job)
  })
  t.same(done.sort(), [1, 2, 3, 4, 5, 6, 7])
  t.equal(most, 3)
  await runAll([], 3, () => Promise.reject(new Error('there is no job')))
})

void t.test('the first failure rejects, and the other jobs are done all the same', async t => {
  const done: number[] = []
  const all = runAll([1, 2, 3, 4], 2, async job => {
    await setImmediate()
    if (job === 1) throw new Error('no')
    done.push(job)
  })
  await t.rejects(all, { message: 'no' })
  while (done.length < 3) await setImmediate()
  t.same(done, [2, 3, 4])
})
