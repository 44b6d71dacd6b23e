// Owns the upstream that stalls: it is found by its timing and nudged, and no other upstream is.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type Test } from 'tap'
import { NagleDetector } from '../../src/proxy/nagle.js'
import { proxyTo, request, type Rig } from './rig.js'
import { connectTo } from './wire.js'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const event = '9\r\ndata: a\n\n\r\n'

interface Upstream {
  rig: Rig
  received: () => string
}

/** A server that writes an answer in two parts, with Nagle's algorithm on unless told otherwise. */
async function upstreamInParts(t: Test, noDelay: boolean): Promise<Upstream> {
  let received = ''
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay }, socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', bytes => {
      const text = bytes.toString('latin1')
      received += text
      if (!text.includes('HTTP/1.1')) return
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
  return { rig, received: () => received }
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

await test('an upstream with Nagle on is found, told of once, and nudged with empty lines', async t => {
  const { rig, received } = await upstreamInParts(t, false)
  const found = (): boolean => rig.logs.length > 0
  t.ok((await ask(t, rig.port, found)) < 500)
  t.match(rig.logs, [{ msg: /tokio-rs\/axum#2521/ }])
  const before = received().length
  await ask(t, rig.port, () => received().slice(before).split('HTTP/1.1').length > 20)
  t.match(received().slice(before), /\r\n\r\n\r\nGET /, 'an empty line before the next request')
  t.equal(rig.logs.length, 1)
})

await test('nothing is put into a body that is still under way', async t => {
  const { rig, received } = await upstreamInParts(t, false)
  await ask(t, rig.port, () => rig.logs.length > 0)
  const client = await connectTo(rig.port)
  t.teardown(() => client.socket.destroy())
  await client.send(request('POST /x HTTP/1.1', 'Content-Length: 4') + 'ab')
  await client.done()
  t.match(received(), /\r\n\r\nab$/)
})

await test('an upstream without that fault is never nudged', async t => {
  const { rig, received } = await upstreamInParts(t, true)
  let asked = 0
  await ask(t, rig.port, () => ++asked > 100)
  t.notMatch(received(), /\r\n\r\n\r\n/)
  t.equal(rig.logs.length, 0)
})

/** Feeds `count` gaps of answers, nudged when the detector says so; how many were nudged. */
function feed(detector: NagleDetector, count: number, gapMs: (nudged: boolean) => number, now = 0): number {
  let nudges = 0
  for (let i = 0; i < count; i++) {
    const nudged = detector.shouldNudge(now)
    if (nudged) nudges++
    detector.note(gapMs(nudged), nudged, now)
  }
  return nudges
}

await test('events that come 50 ms apart are tried once a minute, and left alone', t => {
  let found = 0
  const detector = new NagleDetector(() => found++)
  t.ok(feed(detector, 100, () => 50) <= 2)
  t.equal(
    feed(detector, 100, () => 50, 59_000),
    0
  )
  t.ok(feed(detector, 100, () => 50, 61_000) > 0)
  t.equal(found, 0)
  t.end()
})

await test('answers that stall now and then, for other reasons, are no fault', t => {
  let answers = 0
  t.equal(
    feed(new NagleDetector(() => t.fail('found')), 1_000, () => (answers++ % 8 === 0 ? 50 : 1)),
    0
  )
  t.end()
})

await test('now and then an answer goes without, and a fault that is gone is noticed', t => {
  let found = 0
  const detector = new NagleDetector(() => found++)
  feed(detector, 100, nudged => (nudged ? 1 : 44))
  t.equal(found, 1)
  t.ok(detector.found)
  for (let now = 5_000; now < 100_000; now += 5_000) {
    t.equal(
      feed(detector, 100, nudged => (nudged ? 1 : 44), now),
      99,
      'one of 100 goes without'
    )
  }
  for (let now = 100_000; now < 140_000; now += 5_000) feed(detector, 100, () => 1, now)
  t.notOk(detector.found)
  t.equal(
    feed(detector, 100, () => 1, 140_000),
    0
  )
  t.end()
})
