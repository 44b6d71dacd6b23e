// Owns a small part of `npm run test:fuzz`: some hundred odd messages on each side of the proxy and on Socket.IO harm nobody.
import t from 'tap'
import { Random } from '../support/random.js'
import { fuzz, sides } from './fuzz.js'

const MESSAGES = 300

void t.test('odd messages on each side', { timeout: 240_000 }, async t => {
  const random = new Random()
  t.comment(`TEST_SEED=${random.seed}`)
  const directory = t.testdir()
  await Promise.all(
    sides.map(async side => {
      const { problems, answers, sessions } = await fuzz(
        side,
        MESSAGES,
        new Random(random.seed),
        `${directory}/${side}`
      )
      t.same(problems, [], side)
      t.ok(sessions > 0, 'a client beside them was served')
      t.ok(Object.values(answers).reduce((sum, count) => sum + count, 0) > MESSAGES / 2)
    })
  )
})
