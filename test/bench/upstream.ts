// Owns the synthetic upstream of the benchmarks, on plain sockets so that it is never the slow one. The last segment of the
// path says what to answer: `json`, `events` (two of them), `download` (1 MB), `upload`, `stream` (one event, then one each
// time as `rate/N` asked for, N a second).
import { randomUUID } from 'node:crypto'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { BODY_BYTES, MAX_STREAMS } from './sizes.js'

const result = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: { content: [{ type: 'text', text: 'x'.repeat(100) }] }
})
const chunk = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n`
const primingEvent = chunk('id: 0\nretry: 3000\ndata: \n\n')
const resultEvent = chunk(`data: ${result}\n\n`)
const large = Buffer.alloc(BODY_BYTES, 'x')

const TICK_MS = 10
const streams = new Set<Socket>()
let ticker: NodeJS.Timeout | undefined

/** Events on all streams, `perSecond` on each, evenly over time. */
function sendEvents(perSecond: number): void {
  clearInterval(ticker)
  if (perSecond === 0) return
  let round = [...streams]
  let owed = 0
  ticker = setInterval(() => {
    owed += (streams.size * perSecond * TICK_MS) / 1000
    for (; owed >= 1; owed--) {
      if (round.length === 0) round = [...streams]
      round.pop()?.write(resultEvent, 'latin1')
    }
  }, TICK_MS)
}

const head = (type: string, framing: string, session: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nCache-Control: no-cache\r\n${session}${framing}\r\n\r\n`

const sized = (body: string, session: string): string =>
  `${head('application/json', `Content-Length: ${body.length}`, session)}${body}`

function answer(socket: Socket, what: string, session: string): void {
  const stream = (): string => head('text/event-stream', 'Transfer-Encoding: chunked', session)
  switch (what) {
    case 'events':
      // As a gateway does: what it has at once, and the result when it is there.
      socket.write(`${stream()}${primingEvent}`, 'latin1')
      socket.write(`${resultEvent}0\r\n\r\n`, 'latin1')
      return
    case 'download':
      socket.write(head('application/octet-stream', `Content-Length: ${large.length}`, session), 'latin1')
      socket.write(large)
      return
    case 'stream':
      streams.add(socket)
      socket.once('close', () => streams.delete(socket))
      socket.write(`${stream()}${primingEvent}`, 'latin1')
      return
    default:
      if (what.startsWith('rate/')) sendEvents(Number(what.slice('rate/'.length)))
      socket.write(sized(result, session), 'latin1')
  }
}

const server = createServer({ noDelay: true }, socket => {
  let held = ''
  let rest = 0
  let what = ''
  let session = ''
  let closes = false
  socket.on('error', () => socket.destroy())
  socket.on('data', part => {
    if (rest > 0) {
      rest -= part.length
    } else {
      held += part.toString('latin1')
      const end = held.indexOf('\r\n\r\n')
      if (end < 0) return
      const request = held.slice(0, end)
      what = /^\S+ \/stream\/(\S+)/.exec(request)?.[1] ?? ''
      session = /\r\nmcp-session-id:/i.test(request) ? '' : `Mcp-Session-Id: ${randomUUID()}\r\n`
      closes = /\r\nconnection: close/i.test(request)
      rest = Number(/\r\ncontent-length: *(\d+)/i.exec(request)?.[1] ?? 0) - (held.length - end - 4)
      held = ''
    }
    if (rest > 0) return
    answer(socket, what, session)
    if (closes && what !== 'stream') socket.end()
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: MAX_STREAMS }, () =>
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
)
