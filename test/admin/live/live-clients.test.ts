// Owns the tests of Socket.IO connections that may not stay: those that do not join with a token, and those that do not read.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket as NetSocket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { type Connection, type ClientLimits, LiveClients } from '../../../src/admin/live/live-clients.js'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Subscriber } from '../../support/subscriber.js'
import { Turnstile } from '../../support/turnstile.js'

const TOKEN = 'a-token-of-24-characters'
const POLLING = '/socket.io/?EIO=4&transport=polling'

async function start(t: Test): Promise<Turnstile> {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--admin-token', TOKEN])
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  return turnstile
}

/** Opens a connection of engine.io; its `sid`. */
async function handshake({ adminUrl }: Turnstile, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(adminUrl + POLLING, { headers })
  t.equal(response.headers.get('cross-origin-resource-policy'), 'same-origin')
  return /"sid":"([^"]+)"/.exec(await response.text())![1]!
}

void t.test(
  '5,000 connections without a token lock nobody out, and are cut after 5 s',
  { timeout: 120_000 },
  async t => {
    const turnstile = await start(t)
    let last = ''
    for (let i = 0; i < 5_000; i += 50)
      last = (await Promise.all(Array.from({ length: 50 }, () => handshake(turnstile))))[49]!
    const startedAt = performance.now()
    const client = await Subscriber.connect(turnstile.adminUrl, { auth: { token: TOKEN } })
    t.teardown(() => client.close())
    t.match(await client.subscribe(), { status: 'subscribed' })
    // A long poll ends when its connection does.
    const polled = await fetch(`${turnstile.adminUrl}${POLLING}&sid=${last}`)
    await polled.text()
    while ((await fetch(`${turnstile.adminUrl}${POLLING}&sid=${last}`)).status !== 400) await sleep(100)
    const tookMs = performance.now() - startedAt
    t.ok(tookMs < 15_000, `cut after ${Math.round(tookMs)} ms`)
    t.match(await client.unsubscribe(), { status: 'unsubscribed' }, 'who joined stays')
  }
)

void t.test('who leaves the namespace without closing the connection is cut too', async t => {
  const turnstile = await start(t)
  const sid = await handshake(turnstile)
  const url = `${turnstile.adminUrl}${POLLING}&sid=${sid}`
  const post = async (body: string) => t.equal((await fetch(url, { method: 'POST', body })).status, 200)
  await post(`40/monitoring,{"token":"${TOKEN}"}`)
  t.match(await (await fetch(url)).text(), /^40\/monitoring,\{"sid":/)
  await post('41/monitoring,')
  while ((await fetch(url)).status === 200);
  t.pass('cut')
})

void t.test('each request is checked for its page and its token, not only the first', async t => {
  const turnstile = await start(t)
  const authorization = `Bearer ${TOKEN}`
  const sid = await handshake(turnstile, { authorization })
  const url = `${turnstile.adminUrl}${POLLING}&sid=${sid}`
  for (const headers of [
    { authorization, origin: 'http://evil.example' },
    { authorization, 'sec-fetch-site': 'cross-site' },
    { authorization: 'Bearer another' },
    {}
  ] as Record<string, string>[]) {
    for (const method of ['GET', 'POST'])
      t.equal((await fetch(url, { method, headers, body: method === 'POST' ? '40' : null })).status, 403)
  }
  const headers = { authorization }
  t.equal((await fetch(url, { method: 'POST', headers, body: '40/monitoring,' })).status, 200)
  t.match(await (await fetch(url, { headers })).text(), /^40\/monitoring,\{"sid":/)
})

/** A server of Socket.IO with these limits; a client of it, and its connection on both sides. */
async function joined(t: Test, limits: Partial<ClientLimits>) {
  const http = createServer()
  const server = new Server(http, { serveClient: false })
  const clients = new LiveClients(limits)
  server.engine.on('connection', (connection: Connection) => {
    connection.on('drain', () => clients.drained(connection))
    connection.on('close', () => clients.closed(connection))
  })
  server.on('connection', socket => clients.joined(socket.conn))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const connecting = once(server, 'connection') as Promise<[import('socket.io').Socket]>
  const client = io(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, {
    transports: ['websocket'],
    forceNew: true
  })
  t.teardown(async () => {
    client.close()
    await clients.close()
    await server.close()
  })
  const [socket] = await connecting
  const { ws } = client.io.engine.transport as unknown as {
    ws: { _socket: NetSocket; send: (text: string) => void }
  }
  return { server, socket, client, clients, ws }
}

void t.test('a client that answers pings but does not read is cut', async t => {
  const { socket, ws, clients } = await joined(t, { unreadMs: 500 })
  ws._socket.pause()
  const pong = setInterval(() => ws.send('3'), 50)
  t.teardown(() => clearInterval(pong))
  const cut = once(socket, 'disconnect')
  const startedAt = performance.now()
  const sending = setInterval(() => socket.emit('state', 'x'.repeat(1_000_000)), 20)
  t.teardown(() => clearInterval(sending))
  t.match(await cut, ['forced close'])
  t.ok(performance.now() - startedAt < 10_000)
  t.equal(clients.size, 0)
})

void t.test('a client that reads stays, however much it is sent', async t => {
  const { socket, client, clients } = await joined(t, { unreadMs: 500, maxUnread: 1 })
  let received = 0
  client.on('state', () => received++)
  for (let i = 0; i < 100; i++) {
    socket.emit('state', 'x'.repeat(100_000))
    await sleep(20)
  }
  while (received < 100) await sleep(20)
  t.equal(clients.size, 1)
  t.ok(socket.connected)
})
