// Owns that memory stays flat whatever clients do with their connections: read slowly, upload slowly, open and drop.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { memoryUsedBytes } from '../support/inspector.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

const CLIENTS = 300
/** What may be on its way between two sockets of node: a few parts of 64 KiB, and what describes them. */
const BYTES_A_CLIENT = 512 * 1024
/** How often memory is looked at, and how long it may take until all buffers are full, on a busy machine too. */
const LOOK_MS = 2_000
const FULL_MS = 60_000
const SLACK_BYTES = 3_000_000
const ENDLESS = 1e12
const PART = Buffer.alloc(64 * 1024, 'x')

/** An upstream that never reads a body, and answers a GET without end. */
const upstreamSockets = new Set<Socket>()
const upstream = createServer(socket => {
  upstreamSockets.add(socket)
  socket.once('close', () => upstreamSockets.delete(socket))
  socket.on('error', () => undefined)
  socket.once('data', (head: Buffer) => {
    socket.pause()
    if (!head.toString('latin1').startsWith('GET')) return
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${ENDLESS}\r\n\r\n`)
    pour(socket)
  })
})

/** Writes for as long as the other side takes it. */
function pour(socket: Socket): void {
  while (!socket.destroyed && socket.write(PART));
  socket.once('drain', () => pour(socket))
}

void t.test('memory is flat', { timeout: 240_000 }, async t => {
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const inspectorPort = await freePort()
  const flags = ['--drain-timeout', '100ms']
  const turnstile = await Turnstile.start(url, t.testdir(), flags, [`--inspect=127.0.0.1:${inspectorPort}`])
  t.teardown(async () => {
    await turnstile.stop()
    upstream.close()
  })
  const { port, hostname } = new URL(turnstile.proxyUrl)

  async function client(head: string): Promise<Socket> {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.pause().write(`${head}\r\nHost: a\r\n\r\n`)
    return socket
  }

  async function crowd(begin: () => Promise<Socket>): Promise<() => Promise<void>> {
    const sockets = await Promise.all(Array.from({ length: CLIENTS }, begin))
    return async () => {
      const closed = sockets.map(socket => once(socket, 'close'))
      sockets.forEach(socket => socket.destroy())
      await Promise.all(closed)
      // That a client left is found behind what it uploaded, and nobody reads that until the upstream goes on.
      upstreamSockets.forEach(socket => socket.destroy())
      await sleep(1_000)
    }
  }

  for (const [name, begin] of [
    ['clients that do not read', () => client('GET /stream/e HTTP/1.1')],
    [
      'clients that upload more than the upstream takes',
      async () => {
        const socket = await client(`POST /stream/e HTTP/1.1\r\nContent-Length: ${ENDLESS}`)
        pour(socket)
        return socket
      }
    ]
  ] as const) {
    await t.test(name, async t => {
      await (
        await crowd(begin)
      )()
      const before = await memoryUsedBytes(inspectorPort)
      const leave = await crowd(begin)
      let [early, late] = [0, before]
      for (const endMs = Date.now() + FULL_MS; late - early > SLACK_BYTES && Date.now() < endMs;) {
        early = late
        await sleep(LOOK_MS)
        late = await memoryUsedBytes(inspectorPort)
      }
      await leave()
      const after = await memoryUsedBytes(inspectorPort)
      t.comment(`${name}: ${Math.round((late - before) / CLIENTS / 1024)} KiB each`)
      t.ok(late - before < CLIENTS * BYTES_A_CLIENT, `bounded: ${before} → ${late} bytes`)
      t.ok(late - early < SLACK_BYTES, `flat while they stay: ${early} → ${late} bytes`)
      t.ok(after - before < SLACK_BYTES, `given back: ${before} → ${after} bytes`)
    })
  }

  await t.test('clients that open and drop, at every stage', async t => {
    const stages = ['', 'GET /stre', 'GET /stream/e HTTP/1.1\r\nHost: a\r\n\r\n'] as const
    const visit = async (i: number): Promise<void> => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      const bytes = stages[i % stages.length]!
      if (bytes !== '') await new Promise(resolve => socket.write(bytes, resolve))
      if (i % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
    const visits = async (count: number): Promise<void> => {
      let next = 0
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          while (next < count) await visit(next++)
        })
      )
      await sleep(500)
    }
    await visits(3_000)
    const before = await memoryUsedBytes(inspectorPort)
    await visits(10_000)
    const after = await memoryUsedBytes(inspectorPort)
    t.ok(after - before < SLACK_BYTES, `flat: ${before} → ${after} bytes`)
  })
})
