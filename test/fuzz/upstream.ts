// Owns the upstream of the fuzz, on raw sockets: it serves the well-behaved client as it should, and all others as it is told to.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'
import { parts } from './bytes.js'

/** The path of the well-behaved client. */
export const GOOD_PATH = '/stream/good'
/** How long a connection on which nothing is right stays open. */
const LINGER_MS = 500

/** What others are answered, and what becomes of the connection then. */
export interface OddAnswer {
  bytes: Buffer
  then: 'stay' | 'linger' | 'end' | 'reset'
}

export interface FuzzUpstream {
  readonly url: string
  /** What others get from now on. */
  answer: (random: Random) => OddAnswer
  stop(): Promise<void>
}

export async function startUpstream(random: Random, answer: FuzzUpstream['answer']): Promise<FuzzUpstream> {
  const sockets = new Set<Socket>()
  let sessions = 0
  const upstream = { answer }
  const good = (head: string): string => {
    const field = (name: string): string => new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(head)?.[1] ?? ''
    const opens = head.startsWith('POST') && field('mcp-session-id') === ''
    const issued = opens ? `mcp-session-id: good-${++sessions}\r\n` : ''
    const status = opens ? '200 OK' : '202 Accepted'
    return `HTTP/1.1 ${status}\r\nx-token: ${field('x-token')}\r\n${issued}content-length: 2\r\n\r\n{}`
  }
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
    void serve(socket, async head => {
      if (head.includes(` ${GOOD_PATH} `)) return void socket.write(good(head))
      const { bytes, then } = upstream.answer(random)
      for (const part of parts(random, bytes)) {
        socket.write(part)
        if (random.chance(0.3)) await sleep(1)
      }
      if (then === 'end') socket.end()
      else if (then === 'reset') socket.resetAndDestroy()
      else if (then === 'linger') setTimeout(() => socket.destroy(), LINGER_MS)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(upstream, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      sockets.forEach(socket => socket.destroy())
      await new Promise(resolve => server.close(resolve))
    }
  })
}

/** Reads the requests of the proxy, which are well formed, and has each answered. */
async function serve(socket: Socket, answer: (head: string) => Promise<void>): Promise<void> {
  let received = ''
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received += chunk.toString('latin1')
      for (;;) {
        const length = requestLength(received)
        if (length === undefined) break
        await answer(received.slice(0, received.indexOf('\r\n\r\n') + 2))
        received = received.slice(length)
      }
    }
  } catch {
    // The proxy has cut it.
  }
}

/** Of the first request, once it is there. */
function requestLength(received: string): number | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [head, bodyAt] = [received.slice(0, end + 2), end + 4]
  if (/\r\ntransfer-encoding:/i.test(head)) {
    const last = /(^|\r\n)0\r\n(.*\r\n)*\r\n/.exec(received.slice(bodyAt))
    return last ? bodyAt + last.index + last[0].length : undefined
  }
  const length = bodyAt + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return received.length >= length ? length : undefined
}
