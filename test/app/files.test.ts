// Owns that a file which cannot be the ledger's is refused.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())

void t.test('what is no database is refused in one line', t => {
  const directory = t.testdir({ 'text.db': 'no database\n'.repeat(100), 'folder.db': {}, data: {} })
  const start = (command: string[], store: string) =>
    spawnSync(process.execPath, [MAIN, ...command, '--store', `sqlite:${directory}/${store}`], {
      encoding: 'utf8'
    })
  const listen = ['--upstream', gateway.url, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
  const proxy = [...listen, '--data-dir', `${directory}/data`]
  const commands = [proxy, [...proxy, '--workers', '2'], ['check']]
  for (const command of commands) {
    for (const [store, reason] of [
      ['text.db', 'file is not a database'],
      ['folder.db', 'it is a directory']
    ] as const) {
      const { status, stdout, stderr } = start(command, store)
      t.equal(stderr, `mcp-turnstile: ${directory}/${store} cannot be used as a database: ${reason}\n`)
      t.equal(stdout, '')
      t.equal(status, 2)
    }
  }
  t.end()
})
