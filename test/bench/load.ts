// Owns the load of the benchmarks: POSTs over kept-alive raw sockets, one in flight each. Prints `requests failures p50 p99` (µs).
import { connect } from 'node:net'

const [target, connections, durationMs] = process.argv.slice(2) as [string, string, string]
const { hostname, port, pathname } = new URL(target)
const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'echo', arguments: { text: 'x' } }
})

const latencies: number[] = []
let failures = 0
const until = performance.now() + Number(durationMs)

/** One connection: opens a session, then uses it until time is up. */
function client(): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(Number(port), hostname)
    let session = ''
    let sentAt = 0
    let received = ''
    const send = (): void => {
      const headers = `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n`
      sentAt = performance.now()
      socket.write(`${headers}${session}Content-Length: ${BODY.length}\r\n\r\n${BODY}`)
    }
    socket.setNoDelay(true)
    socket.once('connect', send)
    socket.on('data', chunk => {
      received += chunk.toString('latin1')
      const head = received.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? Number.NaN)
      if (received.length < head + 4 + length) return
      if (!received.startsWith('HTTP/1.1 200')) failures++
      latencies.push(performance.now() - sentAt)
      session ||= `Mcp-Session-Id: ${/mcp-session-id: (\S+)/i.exec(received)?.[1] ?? ''}\r\n`
      received = ''
      if (performance.now() < until) send()
      else socket.end()
    })
    socket.once('error', () => failures++)
    socket.once('close', () => resolve())
  })
}

await Promise.all(Array.from({ length: Number(connections) }, client))
latencies.sort((a, b) => a - b)
const at = (quantile: number): number =>
  Math.round((latencies[Math.floor(latencies.length * quantile)] ?? 0) * 1000)
console.log(latencies.length, failures, at(0.5), at(0.99))
