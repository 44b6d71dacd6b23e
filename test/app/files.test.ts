// Owns what the files of the ledger are: only their owner's, for session ids are secrets; and what cannot be one is refused.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())

/** Of all files in it, as in `ls -l`. */
function modes(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const mode = (name: string): string => (statSync(join(directory, name)).mode & 0o777).toString(8)
  return Object.fromEntries(names.map(name => [name, mode(name)]))
}

void t.test('nobody else may read what the proxy makes; what is there keeps its mode', async t => {
  const directory = t.testdir({ there: {} })
  chmodSync(join(directory, 'there'), 0o755)
  const turnstile = await Turnstile.start(gateway.url, join(directory, 'there/new'), [
    '--workers',
    '2',
    '--mask'
  ])
  t.teardown(() => turnstile.stop())
  await (await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })).text()
  await turnstile.shipped()
  const { there, ...made } = modes(directory)
  t.equal(there, '755')
  for (const name of ['turnstile.db', 'turnstile.db-wal', 'turnstile.db-shm', 'outbox.db', 'outbox.db-wal'])
    t.equal(made[`there/new/${name}`], '600', name)
  t.equal(made['there/new'], '700')
  t.strictSame(new Set(Object.values(made)), new Set(['600', '700']), 'workers too')
})

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

void t.test('the key of masked ids is written whole, and refused when it is short', async t => {
  const directory = t.testdir({ 'mask.key.new': 'left by a crash, and longer than any key is' })
  const first = await Turnstile.start(gateway.url, directory)
  t.equal(await first.stop(), 0)
  const path = join(directory, 'mask.key')
  const key = readFileSync(path)
  t.equal(key.length, 32)
  t.notOk(existsSync(`${path}.new`))
  for (const short of ['', 'x', key.subarray(0, 31)]) {
    writeFileSync(path, short)
    const args = ['--upstream', gateway.url, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
    const { status, stderr } = spawnSync(
      process.execPath,
      [MAIN, ...args, '--data-dir', directory, '--store', `sqlite:${directory}/turnstile.db`],
      { encoding: 'utf8' }
    )
    t.match(
      stderr,
      new RegExp(`^mcp-turnstile: .*mask\\.key has ${short.length} bytes in place of 32: restore it.*\n$`)
    )
    t.equal(status, 2)
  }
  writeFileSync(path, key)
  const again = await Turnstile.start(gateway.url, directory)
  t.equal(await again.stop(), 0)
})

void t.test('an outbox that is moved away or replaced under the process is noticed and said', async t => {
  const directory = t.testdir()
  const turnstile = await Turnstile.start(gateway.url, directory)
  t.teardown(() => turnstile.stop())
  const ready = async () => (await fetch(`${turnstile.adminUrl}/readyz`)).status === 200
  const path = join(directory, 'outbox.db')
  const lines = () => turnstile.log.filter(line => line['path'] === path)
  renameSync(path, `${path}.away`)
  while (await ready()) await sleep(20)
  t.match(lines(), [{ level: 50, msg: /removed or replaced/ }])
  t.match(await (await fetch(`${turnstile.adminUrl}/readyz`)).json(), { outbox: { ok: false } })
  copyFileSync(`${path}.away`, path)
  await sleep(1_500)
  t.equal(await ready(), false, 'a copy is another file')
  renameSync(`${path}.away`, path)
  while (!(await ready())) await sleep(20)
  t.match(lines(), [{ level: 50 }, { level: 30, msg: /is back/ }])
})
