// Owns the command check, with the real process: it says how much it compared, and changes no table.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Libsql from 'libsql'
import t from 'tap'
import { run } from '../support/command-line.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

void t.test('check says how many endpoints and principals it compared', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const turnstile = await Turnstile.start(gateway.url, directory)
  for (const endpoint of ['a', 'b'])
    await (
      await fetch(`${turnstile.proxyUrl}/stream/${endpoint}`, {
        ...{ method: 'POST', body: '{}' },
        headers: { 'x-api-key': 'secret' }
      })
    ).arrayBuffer()
  await turnstile.stop()
  t.match(await run(['check', '--store', `sqlite:${directory}/turnstile.db`]), {
    code: 0,
    stdout: /^0 figures .* differ\ncompared: 2 endpoints and 1 principals\n$/
  })
})

void t.test('tables of another version are left as they are', async t => {
  const path = join(t.testdir(), 'empty.db')
  writeFileSync(path, '')
  for (const repair of [[], ['--repair']]) {
    const { code, stderr } = await run(['check', '--store', `sqlite:${path}`, ...repair])
    t.equal(code, 2)
    t.match(stderr, /^mcp-turnstile: the tables of the database are not those of this version: [^\n]+\n$/)
    const database = new Libsql(path)
    t.strictSame(database.prepare('SELECT name FROM sqlite_master').all(), [])
    database.close()
  }
})
