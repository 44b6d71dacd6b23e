// Owns the closed load of the benchmarks: each connection has one POST in flight, and a session of its own.
// node load.js URL CONNECTIONS MILLISECONDS BODY_BYTES (0: a tool call)
import { Answer, open, requestHead, toolCall } from './client.js'

export interface LoadFigures {
  requests: number
  failures: number
  /** Of the load itself. */
  cpuUs: number
}

const [url, connections, durationMs, bodyBytes] = process.argv.slice(2) as [string, string, string, string]
const target = new URL(url)
const size = Number(bodyBytes)
const body = size === 0 ? toolCall(1) : Buffer.alloc(size, 'x')

let requests = 0
let failures = 0
const until = performance.now() + Number(durationMs)

async function client(): Promise<void> {
  const socket = await open(target)
  let head = requestHead(target, '', body.length)
  let answer = new Answer()
  const send = (): void => {
    if (typeof body === 'string') return void socket.write(head + body, 'latin1')
    socket.write(head, 'latin1')
    socket.write(body)
  }
  await new Promise<void>(resolve => {
    socket.on('data', part => {
      if (!answer.feed(part)) return
      requests++
      if (!answer.ok) failures++
      const { session } = answer
      if (session !== '') head = requestHead(target, session, body.length)
      answer = new Answer()
      if (performance.now() < until) send()
      else socket.end()
    })
    socket.once('error', () => failures++)
    socket.once('close', () => resolve())
    send()
  })
}

const before = process.cpuUsage()
await Promise.all(Array.from({ length: Number(connections) }, client))
const { user, system } = process.cpuUsage(before)
const figures: LoadFigures = { requests, failures, cpuUs: user + system }
console.log(JSON.stringify(figures))
