// Owns the messages of the fuzz for Socket.IO: odd requests, odd WebSocket frames and packets, odd events.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import type { Random } from '../support/random.js'
import { bent, latin1, oddBody, oddText } from './bytes.js'
import { exchange } from './exchange.js'

/** An acknowledgement, or the end of the connection, comes within this time. */
const ACK_MS = 30_000
const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='

/** Sends one; returns what is wrong, if something is. */
export async function oddMessage(random: Random, adminUrl: string): Promise<string | undefined> {
  const port = Number(new URL(adminUrl).port)
  const send = random.weighted([
    [5, () => oddEvent(random, adminUrl)],
    [3, () => oddHttp(random, port)],
    [2, () => oddFrames(random, port)]
  ])
  return await send()
}

async function oddHttp(random: Random, port: number): Promise<string | undefined> {
  const query = new URLSearchParams()
  const known = { EIO: '4', transport: 'polling', sid: random.next().toString(36), t: 'x', j: '0', b64: '1' }
  for (const [name, value] of Object.entries(known))
    if (random.chance(0.6)) query.append(name, random.chance(0.7) ? value : oddText(random))
  const body = random.chance(0.5) ? packets(random) : ''
  const method = random.pick(['GET', 'GET', 'POST', 'POST', 'OPTIONS', 'PUT', 'DELETE'])
  const head = `${method} /socket.io/?${query.toString()} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
  const upgrade = random.chance(0.2) ? `${HANDSHAKE}\r\n` : ''
  const bytes = bent(random, Buffer.concat([latin1(`${head}${upgrade}\r\n`), Buffer.from(body)]))
  const answer = await exchange(random, port, bytes)
  return answer === undefined
    ? `no answer to ${JSON.stringify(bytes.toString('latin1').slice(0, 500))}`
    : undefined
}

/** Packets of Engine.IO and Socket.IO, nearly so. */
function packets(random: Random): string {
  const packet = (): string => {
    const [engine, socket] = [random.int(0, 7), random.int(0, 8)]
    const name = random.pick(['/monitoring,', '/,', '', oddText(random)])
    const payload = random.pick([
      '["subscribe_mcp_connections",{}]',
      '["subscribe_mcp_connections",{"serverId":"e"}]',
      `["${random.next()}"]`,
      '{"token":"x"}',
      '[null]',
      '{"_placeholder":true,"num":0}',
      oddBody(random)
    ])
    const id = random.pick(['', '1', '99999999999999999999', '-'])
    return `${engine}${socket}${random.pick(['', '1-', '9999-'])}${name}${id}${payload}`
  }
  return Array.from({ length: random.int(1, 3) }, packet).join('\x1e')
}

/** A WebSocket is opened as it should be; what comes then is not. */
async function oddFrames(random: Random, port: number): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  const closed = new Promise(resolve => socket.once('close', resolve))
  const answered = new Promise(resolve => socket.once('data', resolve))
  socket.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n${HANDSHAKE}\r\n\r\n`
  )
  const silent = sleep(ACK_MS, 'silent', { ref: false })
  if ((await Promise.race([answered, closed, silent])) === 'silent') {
    socket.destroy()
    return 'a WebSocket got no answer'
  }
  if (random.chance(0.7)) socket.write(frame(0x81, '40/monitoring,'))
  const count = random.int(1, 5)
  for (let i = 0; i < count; i++) {
    const opcode = random.chance(0.6) ? 0x81 : random.int(0, 255)
    socket.write(bent(random, frame(opcode, random.chance(0.2) ? oddText(random) : packets(random))))
  }
  await Promise.race([closed, sleep(random.int(0, 30))])
  socket.destroy()
  return undefined
}

/** RFC 6455 §5.2, masked with zeros. */
function frame(first: number, text: string): Buffer {
  const data = Buffer.from(text)
  const length =
    data.length < 126
      ? Buffer.from([0x80 | data.length])
      : data.length < 65_536
        ? Buffer.from([0x80 | 126, data.length >> 8, data.length & 255])
        : Buffer.from([0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map(bits => (data.length >> bits) & 255)])
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(4), data])
}

let joined: Promise<Socket> | undefined

/** One socket for all events, and another one when it was cut. */
async function join(adminUrl: string): Promise<Socket> {
  const last = joined
  const socket = await last
  if (socket?.connected) return socket
  // Others may have begun one meanwhile.
  if (joined === last) joined = open(adminUrl)
  return await joined!
}

function open(adminUrl: string): Promise<Socket> {
  const options = { forceNew: true, reconnection: false, transports: ['websocket'] }
  const socket = io(`${adminUrl}/monitoring`, options)
  return new Promise(resolve => {
    // It may also be cut before it has joined: that is no error, but an end.
    for (const end of ['connect', 'connect_error', 'disconnect'] as const)
      socket.once(end, () => resolve(socket))
  })
}

async function oddEvent(random: Random, adminUrl: string): Promise<string | undefined> {
  const socket = await join(adminUrl)
  const value = (depth = 0): unknown =>
    random.pick([
      () => oddText(random),
      () => ({ serverId: random.pick(['e', 'good', oddText(random)]) }),
      () => ({ serverId: depth < 3 ? value(depth + 1) : 1 }),
      () => [],
      () => null,
      () => random.int(-1, 2 ** 31),
      () => Buffer.from(oddText(random)),
      () => ({ [random.pick(['__proto__', 'toString', 'serverId'])]: Buffer.alloc(3) }),
      () => JSON.parse('['.repeat(500) + ']'.repeat(500)) as unknown
    ])()
  const event = random.pick([
    'subscribe_mcp_connections',
    'unsubscribe_mcp_connections',
    'message',
    'error ',
    '__proto__',
    oddText(random)
  ])
  const args = Array.from({ length: random.int(0, 3) }, () => value())
  return await new Promise(resolve => {
    const timer = setTimeout(
      () => resolve(`no acknowledgement of ${JSON.stringify([event, args]).slice(0, 500)}`),
      ACK_MS
    )
    const over = (): void => {
      clearTimeout(timer)
      socket.off('disconnect', over)
      resolve(undefined)
    }
    if (!socket.connected) return over()
    socket.once('disconnect', over)
    socket.emit(event, ...args, over)
  })
}

/** Closes the socket that the events were sent from. */
export async function leave(): Promise<void> {
  const socket = await joined
  socket?.close()
  joined = undefined
}
