// Owns the tests of admin tokens at the start: a warning for short ones, and exit code 2 for those that mean something else.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

void t.test('tokens under 16 characters are one warning at the start, which does not show them', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  for (const [tokens, warnings] of [
    ['read:short,fifteen-letters', [{ level: 40, tokens: 2 }]],
    ['read:sixteen--letters,metrics:sixteen--letters2', []]
  ] as const) {
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--admin-token', tokens])
    const said = turnstile.log.filter(({ msg }) => /fewer than 16 characters/.test(String(msg)))
    t.match(said, warnings)
    t.equal(said.length, warnings.length)
    t.notMatch(JSON.stringify(turnstile.log), /short|letters/)
    t.equal(await turnstile.stop(), 0)
  }
})

void t.test('an empty token and a prefix that is written otherwise stop the start with exit code 2', t => {
  for (const [token, fault] of [
    ['abc,read:', /token 2 has nothing behind read:/],
    ['READ:hunter2', /token 1 begins with an unknown prefix/]
  ] as const) {
    const { status, stderr } = spawnSync(
      process.execPath,
      [MAIN, '--upstream', 'http://127.0.0.1:9', '--admin-token', token],
      { encoding: 'utf8' }
    )
    t.equal(status, 2)
    t.match(stderr, fault)
    t.notMatch(stderr, /hunter2/)
  }
  t.end()
})
