// Owns the upstream that stalls: where it cannot be acknowledged at once, it is found by its timing and met on rested
// connections, and no other upstream is. And that it never stalls where it is acknowledged at once.
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import { test, type Test } from 'tap'
import { DelayedAckDetector } from '../../../src/proxy/upstream/delayed-acks.js'
import { type Acknowledge, quickAcks } from '../../../src/proxy/upstream/quick-acks.js'
import {
  startExchange,
  startProxyTo,
  requestHead,
  type ProxyUnderTest
} from '../../support/proxy-under-test.js'
import { connectTo } from '../../support/raw-http.js'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const event = '9\r\ndata: a\n\n\r\n'

interface Upstream {
  proxy: ProxyUnderTest
  /** How many it has accepted. */
  connections: () => number
}

/** A server that writes a response in two parts, with Nagle's algorithm on unless told otherwise. */
async function upstreamInParts(t: Test, noDelay: boolean, acknowledge?: Acknowledge): Promise<Upstream> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay }, socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', () => {
      socket.write(head + event)
      setImmediate(() => socket.write(`${event}0\r\n\r\n`))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const proxy = await startProxyTo(t, new URL(`http://127.0.0.1:${port}`), { acknowledge })
  return { proxy, connections: () => sockets.size }
}

/** Sends requests one after the other until `enough`, at most 500; how many it sent. */
async function ask(t: Test, port: number, enough: () => boolean): Promise<number> {
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  let sent = 0
  while (sent < 500 && !enough()) {
    await client.send(requestHead('GET /stream/a HTTP/1.1'))
    await client.done()
    if (client.reader.text() !== 'data: a\n\ndata: a\n\n') throw new Error(client.reader.text())
    client.next()
    sent++
  }
  return sent
}

await test('an upstream with Nagle on is found, told of once, and met on rested connections', async t => {
  const { proxy, connections } = await upstreamInParts(t, false)
  t.ok((await ask(t, proxy.port, () => proxy.logs.length > 0)) < 500)
  t.match(proxy.logs, [{ msg: /tokio-rs\/axum#2521/ }])
  t.ok(connections() > 2)
  await ask(t, proxy.port, () => connections() > 10)
  t.equal(proxy.logs.length, 1)
})

const noLog = { info: () => undefined, warn: () => undefined, error: () => undefined }

await test('where koffi has no package, the log says so, and nothing is acknowledged at once', t => {
  const lines: object[] = []
  t.equal(quickAcks({ ...noLog, info: (...line: unknown[]) => lines.push(line) }, 'vax'), undefined)
  t.match(lines, [[{ reason: /@koromix\/koffi-linux-vax/ }, /cannot be acknowledged/]])
  t.end()
})

await test('a connection that is not open is left alone', t => {
  t.doesNotThrow(() => quickAcks(noLog)?.(new Socket()))
  t.end()
})

await test('an upstream that is acknowledged at once never stalls, and keeps its one connection', async t => {
  const { proxy, connections } = await upstreamInParts(t, false, quickAcks(noLog))
  let asked = 0
  let stalls = 0
  let askedAt = performance.now()
  await ask(t, proxy.port, () => {
    if (performance.now() - askedAt > 35) stalls++
    askedAt = performance.now()
    return asked++ === 100
  })
  t.ok(stalls < 10, `${stalls} of 100 took as long as a delayed acknowledgement`)
  t.equal(connections(), 1)
})

await test('what came of a response is acknowledged, unless the response is complete', async t => {
  let acknowledged = 0
  const options = {
    acknowledge: () => {
      acknowledged++
    }
  }
  const { client, upstream } = await startExchange(t, { options })
  for (const number of [1, 2]) {
    await upstream.send(number === 1 ? head + event : event)
    await client.until(({ reader }) => reader.body.length === number)
    t.equal(acknowledged, number)
  }
  await upstream.send('0\r\n\r\n')
  await client.done()
  t.equal(acknowledged, 2)
})

await test('an upstream without that fault keeps its one connection', async t => {
  const { proxy, connections } = await upstreamInParts(t, true)
  let asked = 0
  await ask(t, proxy.port, () => ++asked > 200)
  t.equal(connections(), 1)
  t.equal(proxy.logs.length, 0)
})

/** A detector that is fed with gaps of responses, on rested connections when it says so. */
class Fed {
  found = 0
  now = 0
  readonly detector = new DelayedAckDetector(() => this.found++)

  /** Sends requests that may be controls; how many went out without a rest. */
  feed(count: number, gapMs: (rested: boolean) => number): number {
    let without = 0
    for (let i = 0; i < count; i++) {
      const rested = this.detector.shouldRest(this.now, true)
      if (!rested) without++
      this.detector.note(gapMs(rested), rested ? 60 : 1, this.now)
    }
    return without
  }
}

const fault = (rested: boolean): number => (rested ? 1 : 44)
const second = 1_000

await test('events that come 50 ms apart are tried now and then, ever more rarely, and left alone', t => {
  const fed = new Fed()
  const trials = [0, 5, 10, 20, 40, 80, 160, 300, 300].map(seconds => {
    fed.now += seconds * second - 1
    const early = 100 - fed.feed(100, () => 50)
    fed.now += 1
    return [early, 100 - fed.feed(100, () => 50)]
  })
  t.strictSame(trials, Array(9).fill([0, 2]))
  t.equal(fed.found, 0)
  t.end()
})

await test('responses that stall now and then, for other reasons, are no fault', t => {
  let responses = 0
  const fed = new Fed()
  t.equal(
    fed.feed(1_000, () => (responses++ % 8 === 0 ? 50 : 1)),
    1_000
  )
  t.end()
})

await test('now and then, and ever more rarely, a request goes without a rest', t => {
  const fed = new Fed()
  fed.feed(100, fault)
  t.equal(fed.found, 1)
  for (const seconds of [5, 10, 20, 40, 80, 160, 300, 300]) {
    fed.now += seconds * second - 1
    t.equal(fed.feed(100, fault), 0)
    fed.now += 1
    t.equal(fed.feed(100, fault), 1, `one of 100 goes without after ${seconds} s`)
  }
  t.ok(fed.detector.found)
  t.end()
})

await test('a request of an open session is no control', t => {
  const fed = new Fed()
  fed.feed(100, fault)
  fed.now += 5 * second
  t.equal(fed.detector.shouldRest(fed.now, false), true)
  t.equal(fed.detector.shouldRest(fed.now, true), false)
  t.end()
})

await test('a fault that is gone is noticed soon after the first control', t => {
  const fed = new Fed()
  fed.feed(100, fault)
  for (const seconds of [5, 10, 20, 40]) {
    fed.now += seconds * second
    fed.feed(100, fault)
  }
  // The first of them comes when it was due.
  for (const seconds of [80, 160, 5, 5, 5, 5, 5, 5]) {
    t.ok(fed.detector.found)
    fed.now += seconds * second
    fed.feed(100, () => 1)
  }
  t.notOk(fed.detector.found)
  t.equal(
    fed.feed(100, () => 1),
    100
  )
  t.end()
})
