// Owns a process that stood still, as with SIGSTOP or in a paused machine: what came meanwhile counts before the clock does.
import { test } from 'tap'
import { Connection } from '../../src/proxy/connection.js'
import { Connections } from '../../src/proxy/connections.js'
import { NagleDetector } from '../../src/proxy/nagle.js'
import { serveAnswers } from './wire.js'
import { answer } from './rig.js'

/** Longer than idle connections are kept. */
const LONG_MS = 4_200
const options = {
  nagle: new NagleDetector(() => undefined),
  connectTimeoutMs: 50,
  upstreamTimeoutMs: 0
}

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function ask(connection: Connection): Promise<void> {
  const request = { method: 'GET', head: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', body: null, complete: true }
  return new Promise((resolve, reject) =>
    connection.send(request, {
      onInformation: () => undefined,
      onHead: () => undefined,
      onData: () => undefined,
      onReadEnd: () => undefined,
      onDrain: () => undefined,
      onEnd: () => resolve(),
      onError: reject
    })
  )
}

await test('a connection that was made meanwhile is none that took too long', async t => {
  const server = await serveAnswers(() => answer('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const connection = new Connection(
    { ...options, upstream: server.url, census: { open: 0, opened: 0 } },
    () => undefined
  )
  t.teardown(() => connection.destroy())
  const answered = ask(connection)
  standStill(2 * options.connectTimeoutMs)
  await t.resolves(answered)
})

await test('a connection that was idle meanwhile is not used again: the upstream may have closed it', async t => {
  const server = await serveAnswers(() => answer('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const connections = new Connections({ ...options, upstream: server.url })
  t.teardown(() => connections.close())
  const connection = connections.take()
  await ask(connection)
  connections.release(connection)
  standStill(LONG_MS)
  const next = connections.take()
  t.teardown(() => next.destroy())
  t.not(next, connection)
})
