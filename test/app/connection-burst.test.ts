// Owns that a crowd that connects at once finds room: where the process is held up for a moment, nobody waits until his system
// tries again, after 1, 3, 7 and more seconds (Linux).
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

/** More than the 511 that Node has the system hold by default. */
const CLIENTS = 1_500
/** The system connects them by itself. */
const CONNECT_MS = 10_000

for (const flags of [[], ['--workers', '2']]) {
  void t.test(`a burst of clients ${flags.join(' ')}`, { timeout: 120_000 }, async t => {
    const gateway = await startFakeGateway()
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
    t.teardown(async () => {
      await turnstile.stop()
      await gateway.stop()
    })
    const port = Number(new URL(turnstile.proxyUrl).port)
    turnstile.process.kill('SIGSTOP')
    const sockets = Array.from({ length: CLIENTS }, () => connect(port, '127.0.0.1'))
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.write('POST /stream/e HTTP/1.1\r\nHost: a\r\nMcp-Session-Id: x\r\nContent-Length: 2\r\n\r\n{}')
    }
    const on = (event: string) =>
      Promise.all(sockets.map(socket => new Promise(resolve => socket.once(event, resolve))))
    const answered = on('data')
    const late = sleep(CONNECT_MS, 'late', { ref: false })
    t.not(await Promise.race([on('connect'), late]), 'late', 'all are connected while nobody serves them')
    turnstile.process.kill('SIGCONT')
    await answered
    sockets.forEach(socket => socket.destroy())
  })
}
