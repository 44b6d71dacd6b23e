// Owns the tests that Socket.IO and Node still do what live monitoring needs of them beyond their documentation.
import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type Socket } from 'socket.io'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { handOver, unreadPackets } from '../../../src/admin/live/socket-io-internals.js'

/** The URL of a server with Socket.IO at it or behind it. */
async function listening(t: Test, server: HttpServer, socketIo: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    socketIo.disconnectSockets(true)
    socketIo.engine.close()
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void t.test('packets that a client did not read yet are counted', async t => {
  const http = createServer()
  const server = new Server(http, { serveClient: false })
  const url = await listening(t, http, server)
  const client = io(url, { transports: ['websocket'], forceNew: true })
  t.teardown(() => client.close())
  const [socket] = (await once(server, 'connection')) as [Socket]
  await new Promise<void>(resolve => client.on('connect', resolve))
  const received = new Promise(resolve => client.on('last', resolve))
  t.ok(unreadPackets(socket.conn) <= 1)
  for (let i = 0; i < 99; i++) socket.emit('packet')
  socket.emit('last')
  t.ok(unreadPackets(socket.conn) >= 98, 'all but those on their way')
  await received
  t.equal(unreadPackets(socket.conn), 0)
})

void t.test('a request of one server is handed over to Socket.IO at another', async t => {
  const first = createServer()
  const server = new Server(first, { serveClient: false })
  const other = createServer((request, response) => handOver(first, request, response))
  const url = await listening(t, other, server)
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`)
  t.equal(response.status, 200)
  t.match(await response.text(), /^0\{"sid":"/)
})
