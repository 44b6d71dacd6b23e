// Owns restarts behind a socket that outlives the process (systemd): no connection is refused, no request fails.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** Does what systemd does for a socket unit and its service: it listens, and starts the command again whenever it ends. */
const systemd = `
import os, signal, socket, sys
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen(4096)
print('{"port": %d}' % server.getsockname()[1], flush=True)
while True:
    child = os.fork()
    if child == 0:
        os.dup2(server.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
        os.execv(sys.argv[1], sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, 9), os._exit(0)))
    print('{"child": %d}' % child, flush=True)
    _, status = os.waitpid(child, 0)
    print('{"status": %d}' % status, flush=True)
`

/** Kinds of lines: of the stand-in for systemd, and of the log. */
interface Line {
  port?: number
  child?: number
  status?: number
  msg?: string
  proxyUrl?: string
}

/** Reads the lines of a process one after the other. */
function linesOf(child: ChildProcess): (wanted: (line: Line) => boolean) => Promise<Line> {
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  return async wanted => {
    for (;;) {
      const { value: text } = (await lines.next()) as { value: string }
      const line = JSON.parse(text) as Line
      if (wanted(line)) return line
      if (line.status !== undefined) throw new Error(`the process ended: ${line.status}`)
    }
  }
}

void t.test('restarts under load', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const settings = {
    ...{ '--upstream': gateway.url, '--admin': '127.0.0.1:0', '--listen': '192.0.2.1:1' },
    ...{ '--data-dir': directory, '--store': `sqlite:${directory}/turnstile.db` }
  }
  const flags = Object.entries(settings).flat()
  const supervisor = spawn('python3', ['-c', systemd, process.execPath, MAIN, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    supervisor.kill()
    await once(supervisor, 'exit')
  })
  const next = linesOf(supervisor)
  const { port } = await next(line => line.port !== undefined)
  const agent = new Agent({ keepAlive: false })
  const ask = async (): Promise<number> => {
    const asked = request({ port, path: '/stream/e', method: 'POST', agent }).end('{}')
    const [response] = (await once(asked, 'response')) as [NodeJS.ReadableStream & { statusCode: number }]
    await once(response.resume(), 'end')
    return response.statusCode
  }
  let asking = true
  let answered = 0
  const asked = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (asking) {
        if ((await ask()) !== 200) t.fail('a request failed')
        answered++
        await sleep(5)
      }
    })
  )
  for (let restart = 0; restart < 2; restart++) {
    const { child } = await next(line => line.child !== undefined)
    const { proxyUrl } = await next(line => line.msg === 'listening')
    t.equal(proxyUrl, `http://127.0.0.1:${port}`)
    const before = answered
    while (answered < before + 8) await sleep(5)
    process.kill(child!, 'SIGTERM')
    t.equal((await next(line => line.status !== undefined)).status, 0)
  }
  await next(line => line.msg === 'listening')
  asking = false
  await asked
  t.ok(answered > 16)
})
