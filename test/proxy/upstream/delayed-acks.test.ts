// Owns the upstream that stalls: it is found by its timing and nudged, and no other upstream is.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type Test } from 'tap'
import { DelayedAckDetector } from '../../../src/proxy/upstream/delayed-acks.js'
import { proxyTo, request, type ProxyUnderTest } from '../../support/proxy-under-test.js'
import { connectTo } from '../../support/raw-http.js'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const event = '9\r\ndata: a\n\n\r\n'

interface Upstream {
  rig: ProxyUnderTest
  /** How many it has accepted. */
  connections: () => number
}

/** A server that writes an answer in two parts, with Nagle's algorithm on unless told otherwise. */
async function upstreamInParts(t: Test, noDelay: boolean): Promise<Upstream> {
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
  const rig = await proxyTo(t, new URL(`http://127.0.0.1:${port}`))
  return { rig, connections: () => sockets.size }
}

/** Sends requests one after the other until `enough`, at most 500; how many it sent. */
async function ask(t: Test, port: number, enough: () => boolean): Promise<number> {
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  let sent = 0
  while (sent < 500 && !enough()) {
    await client.send(request('GET /stream/a HTTP/1.1'))
    await client.done()
    if (client.reader.text() !== 'data: a\n\ndata: a\n\n') throw new Error(client.reader.text())
    client.next()
    sent++
  }
  return sent
}

await test('an upstream with Nagle on is found, told of once, and met on rested connections', async t => {
  const { rig, connections } = await upstreamInParts(t, false)
  t.ok((await ask(t, rig.port, () => rig.logs.length > 0)) < 500)
  t.match(rig.logs, [{ msg: /tokio-rs\/axum#2521/ }])
  t.ok(connections() > 2)
  await ask(t, rig.port, () => connections() > 10)
  t.equal(rig.logs.length, 1)
})

await test('an upstream without that fault keeps its one connection', async t => {
  const { rig, connections } = await upstreamInParts(t, true)
  let asked = 0
  await ask(t, rig.port, () => ++asked > 200)
  t.equal(connections(), 1)
  t.equal(rig.logs.length, 0)
})

/** Feeds `count` gaps of answers, on rested connections when the detector says so; how many were rested. */
function feed(
  detector: DelayedAckDetector,
  count: number,
  gapMs: (rested: boolean) => number,
  now: number
): number {
  let rests = 0
  for (let i = 0; i < count; i++) {
    const rested = detector.shouldRest(now)
    if (rested) rests++
    detector.note(gapMs(rested), rested ? 60 : 1, now)
  }
  return rests
}

const minute = 60_000

await test('events that come 50 ms apart are tried once a minute, and left alone', t => {
  let found = 0
  const detector = new DelayedAckDetector(() => found++)
  t.ok(feed(detector, 100, () => 50, 0) <= 2)
  t.equal(
    feed(detector, 100, () => 50, minute - 1),
    0
  )
  t.ok(feed(detector, 100, () => 50, minute) > 0)
  t.equal(found, 0)
  t.end()
})

await test('answers that stall now and then, for other reasons, are no fault', t => {
  let answers = 0
  const detector = new DelayedAckDetector(() => t.fail('found'))
  t.equal(
    feed(detector, 1_000, () => (answers++ % 8 === 0 ? 50 : 1), 0),
    0
  )
  t.end()
})

await test('now and then a request goes without, and a fault that is gone is noticed', t => {
  let found = 0
  const detector = new DelayedAckDetector(() => found++)
  let now = 0
  const ask = (fault: boolean): number => feed(detector, 100, rested => (fault && !rested ? 44 : 1), now)
  ask(true)
  t.equal(found, 1)
  t.ok(detector.found)
  for (let round = 0; round < 20; round++) {
    now += 5_000
    t.equal(ask(true), 99, 'one of 100 goes without')
  }
  for (let round = 0; round < 8; round++) {
    now += 5_000
    ask(false)
  }
  t.notOk(detector.found)
  t.equal(ask(false), 0)
  t.end()
})
