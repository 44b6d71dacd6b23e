// Owns that Node works inside as the proxy expects: each use of what Node does not document, on this version of Node.
import { once } from 'node:events'
import { readFileSync, readlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { test, type Test } from 'tap'
import {
  descriptorOf,
  endConnectionAfter,
  flattenHead,
  keepsConnection,
  neverCloseIdleConnections,
  sendNow,
  takeOverFraming,
  upgradeOnlyIf
} from '../../../src/proxy/http/node-internals.js'
import { requestHead } from '../../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../../support/raw-http.js'

/** A client that sent a GET to a server with this handler. */
async function clientOf(
  t: Test,
  handle: (req: IncomingMessage, res: ServerResponse) => void
): Promise<RawConnection> {
  const server = createServer({ keepAliveTimeout: 60_000 }, handle).listen(0, '127.0.0.1')
  t.teardown(() => server.close().closeAllConnections())
  await once(server, 'listening')
  const client = await connectTo((server.address() as AddressInfo).port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('GET / HTTP/1.1'))
  return client
}

await test('sendNow writes the head and the text at once, and then text alone', async t => {
  const client = await clientOf(t, (_req, res) => {
    res.writeHead(200, { 'Content-Length': 4 })
    t.equal(sendNow(res, 'ab'), true, 'the socket takes more')
    t.equal(sendNow(res, 'c\u00e4'), true)
    t.throws(() => res.setHeader('Late', 'x'), { code: 'ERR_HTTP_HEADERS_SENT' })
    res.end()
  })
  await client.done()
  t.equal(client.reader.text(), 'abc\u00e4', 'in Latin-1')
})

await test('sendNow returns false when the socket is full, which then drains', async t => {
  const text = 'x'.repeat(64 * 1024 * 1024)
  let drained: Promise<unknown> | undefined
  const client = await clientOf(t, (req, res) => {
    res.writeHead(200, { 'Content-Length': text.length })
    t.equal(sendNow(res, text), false)
    drained = once(req.socket, 'drain')
    res.end()
  })
  await client.done()
  await t.resolves(drained!)
})

await test('flattenHead finds the head, and changes nothing', async t => {
  const client = await clientOf(t, (_req, res) => {
    res.writeHead(200, { 'Content-Length': 2 })
    t.match((res as unknown as { _header: unknown })._header, /^HTTP\/1\.1 200 OK\r\n/)
    sendNow(res, 'ok')
    flattenHead(res)
    res.end()
  })
  await client.done()
  t.equal(client.reader.text(), 'ok')
})

await test('flattenHead takes a response without a head', async t => {
  const client = await clientOf(t, (_req, res) => {
    flattenHead(res)
    res.end('ok')
  })
  await client.done()
  t.equal(client.reader.text(), 'ok')
})

await test('takeOverFraming leaves the chunks to the caller', async t => {
  const client = await clientOf(t, (_req, res) => {
    res.writeHead(200)
    takeOverFraming(res)
    sendNow(res, '2\r\nok\r\n0\r\n\r\n')
    res.end()
  })
  await client.done()
  t.equal(client.reader.value('transfer-encoding'), 'chunked')
  t.equal(client.reader.text(), 'ok')
  t.equal(client.reader.rest.length, 0, 'Node adds nothing')
})

for (const ends of [true, false]) {
  await test(`endConnectionAfter: ${ends ? 'called' : 'not called'}`, async t => {
    const client = await clientOf(t, (_req, res) => {
      if (ends) endConnectionAfter(res)
      t.equal(keepsConnection(res), !ends)
      res.end()
    })
    await client.done()
    t.equal(client.reader.value('connection'), ends ? 'close' : 'keep-alive')
    if (ends) await t.resolves(client.closed())
  })
}

await test('neverCloseIdleConnections: a server that closes still answers on an idle connection', async t => {
  const server = createServer((_req, res) => res.end('ok')).listen(0, '127.0.0.1')
  neverCloseIdleConnections(server)
  await once(server, 'listening')
  const client = await connectTo((server.address() as AddressInfo).port)
  for (const closing of [false, true]) {
    if (closing) server.close()
    await client.send(requestHead('GET / HTTP/1.1'))
    await client.done()
    t.equal(client.reader.text(), 'ok')
    client.next()
  }
  client.socket.destroy()
  await once(server, 'close')
})

await test('upgradeOnlyIf is asked from Node 24.9 on', async t => {
  const asked: (string | undefined)[] = []
  const isUpgrade = (req: IncomingMessage): boolean => {
    asked.push(req.headers.upgrade)
    return false
  }
  const server = createServer(upgradeOnlyIf(isUpgrade), (_req, res) => res.end('plain'))
  t.teardown(() => server.close().closeAllConnections())
  server.on('upgrade', (_req, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nupgrade'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = await connectTo((server.address() as AddressInfo).port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: other'))
  await client.done()
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isKnown = major > 24 || (major === 24 && minor >= 9)
  t.same(asked, isKnown ? ['other'] : [])
  t.equal(client.reader.text(), isKnown ? 'plain' : 'upgrade')
})

for (const secure of [false, true]) {
  await test(`descriptorOf finds the descriptor of a connection ${secure ? 'with' : 'without'} TLS, while it is open`, async t => {
    const pem = (name: string): Buffer => readFileSync(`test/support/tls/${name}.pem`)
    const server = secure
      ? createTlsServer({ cert: pem('cert'), key: pem('key') }, socket => socket.on('error', () => undefined))
      : createTcpServer()
    server.listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const at = { port, host: '127.0.0.1' }
    const socket = secure ? connectTls({ ...at, rejectUnauthorized: false }) : connectTcp(at)
    await once(socket, secure ? 'secureConnect' : 'connect')
    t.match(readlinkSync(`/proc/self/fd/${descriptorOf(socket)}`), /^socket:/)
    socket.destroy()
    t.equal(descriptorOf(socket), undefined)
  })
}
