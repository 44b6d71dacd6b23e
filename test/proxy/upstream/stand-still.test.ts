// Owns a process that stood still, as with SIGSTOP or in a paused machine: what came meanwhile counts before the clock does.
import { test } from 'tap'
import { ConnectionPool } from '../../../src/proxy/upstream/connection-pool.js'
import { Connection } from '../../../src/proxy/upstream/connection.js'
import { DelayedAckDetector } from '../../../src/proxy/upstream/delayed-acks.js'
import { responseHead, exchangeOn } from '../../support/proxy-under-test.js'
import { serveResponses } from '../../support/raw-http.js'

/** Longer than idle connections are kept. */
const LONG_MS = 4_200
const options = {
  delayedAcks: new DelayedAckDetector(() => undefined),
  connectTimeoutMs: 50,
  upstreamTimeoutMs: 0,
  upstreamKeepAliveMs: 4_000
}

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

await test('a connection that was made meanwhile is none that took too long', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const connection = new Connection(
    { ...options, upstream: server.url, census: { open: 0, opened: 0 } },
    () => undefined
  )
  t.teardown(() => connection.destroy())
  const answered = exchangeOn(connection)
  standStill(2 * options.connectTimeoutMs)
  await t.resolves(answered)
})

await test('a connection that was idle meanwhile is not used again: the upstream may have closed it', async t => {
  const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const connections = new ConnectionPool({ ...options, upstream: server.url })
  t.teardown(() => connections.close())
  const connection = connections.take()
  await exchangeOn(connection)
  connections.release(connection)
  standStill(LONG_MS)
  const next = connections.take()
  t.teardown(() => next.destroy())
  t.not(next, connection)
})
