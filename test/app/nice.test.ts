// Owns the test that a process which may not change its priority starts all the same.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
/** `nobody` on Linux: root may raise any priority. */
const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

void t.test(
  'it starts under nice -n 11 as an ordinary user',
  { skip: process.platform !== 'linux' },
  async t => {
    const directory = t.testdir()
    chmodSync(directory, 0o777)
    const listen = ['--upstream', 'http://127.0.0.1:9', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
    const child = spawn(
      'env',
      // Without what tap puts there: it would write where nobody else may.
      [
        '-i',
        `PATH=${process.env['PATH']}`,
        'nice',
        '-n',
        '11',
        process.execPath,
        MAIN,
        ...listen,
        '--data-dir',
        directory,
        '--store',
        `sqlite:${directory}/t.db`
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/', ...user }
    )
    t.teardown(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const listening = (async () => {
      for await (const line of createInterface(child.stdout))
        if ((JSON.parse(line) as { msg: string }).msg === 'listening') return 'listening'
      return 'ended'
    })()
    t.equal(await listening, 'listening')
    child.stdout.resume()
    child.kill('SIGTERM')
    t.strictSame(await exited, [0, null])
  }
)
