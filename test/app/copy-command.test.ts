// Owns `mcp-turnstile copy`: what an operator sees of it, and that a proxy goes on counting with the copy as its store.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { initializeOf } from '../support/legacy-server.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Turnstile } from '../support/turnstile.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

const database = await startDatabase()
const gateway = await startFakeGateway()
t.teardown(async () => {
  await gateway.stop()
  await database.stop()
})

interface Result {
  code: number
  stdout: string
  stderr: string
}

const command = (...args: string[]): Promise<Result> =>
  new Promise(resolve => {
    const child = execFile(process.execPath, [MAIN, ...args], (_, stdout, stderr) =>
      resolve({ code: child.exitCode!, stdout, stderr })
    )
  })

async function initialize(proxyUrl: string, endpointId: string): Promise<void> {
  const response = await fetch(`${proxyUrl}/stream/${endpointId}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify(initializeOf('mover'))
  })
  t.equal(response.status, 200)
  await response.body?.cancel()
}

await t.test('a store moves from SQLite to MySQL and back while its sessions stay open', async t => {
  const folder = t.testdir()
  const stores = [`sqlite:${folder}/a.db`, await freshDatabase(database.url), `sqlite:${folder}/b.db`]
  let opened = 0
  for (const [i, store] of stores.entries()) {
    if (i > 0) {
      const { code, stdout } = await command('copy', '--from', stores[i - 1]!, '--to', store)
      t.equal(code, 0)
      t.match(stdout, new RegExp(`^endpoint_logs_v2: ${opened} rows, checksum [0-9a-f]{16}$`, 'm'))
      t.match(stdout, 'read again, they are equal')
      t.match(await command('check', '--store', store), { code: 0, stdout: /^0 figures/ })
    }
    const turnstile = await Turnstile.start(gateway.url, folder, ['--store', store])
    t.equal(await turnstile.count(), opened, `${i} times copied`)
    for (const endpointId of ['e1', 'e1', '知识库']) await initialize(turnstile.proxyUrl, endpointId)
    opened += 3
    await turnstile.shipped()
    t.equal(await turnstile.count(), opened)
    t.equal(await turnstile.stop(), 0)
  }
})

await t.test('a store that is in use, or a target that has rows, is refused with exit code 1', async t => {
  const folder = t.testdir()
  const [from, to] = [`sqlite:${folder}/from.db`, `sqlite:${folder}/to.db`]
  const turnstile = await Turnstile.start(gateway.url, folder, ['--store', from])
  const inUse = await command('copy', '--from', from, '--to', to)
  t.match(inUse, { code: 1, stderr: 'a proxy still uses the store of --from: end it first' })
  await turnstile.stop()
  t.equal((await command('copy', '--from', from, '--to', to)).code, 0)
  t.match(await command('copy', '--from', from, '--to', to), {
    code: 1,
    stderr: 'the target has rows already'
  })
})

await t.test('settings that cannot be used are refused with exit code 2', async t => {
  const path = join(t.testdir(), 'none.db')
  t.match(await command('copy', '--to', `sqlite:${path}`), {
    code: 2,
    stderr: 'give --from STORE and --to STORE'
  })
  t.match(await command('copy', '--from', `sqlite:${path}`, '--to', `sqlite:${path}`), {
    code: 2,
    stderr: 'name the same store'
  })
  const missing = await command('copy', '--from', `sqlite:${path}`, '--to', `sqlite:${path}2`)
  t.match(missing, { code: 2, stderr: 'there is no database at' })
})
