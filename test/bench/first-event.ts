// Owns the delay of a stream's first event: from the upstream's write to the client's read, in µs. Upstream and client
// are in one process, so that one clock tells both times.
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Process } from './processes.js'

const STREAMS = 300
/** The head is long through when the event is written. */
const EVENT_AFTER_MS = 5

export interface FirstEventDelay {
  p50Us: number
  p99Us: number
}

/** `through` starts a proxy in front of the upstream at the given URL. */
export async function measureFirstEvent(
  through: (upstream: string) => Promise<Process>
): Promise<FirstEventDelay> {
  let writtenAt = 0
  const upstream = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    setTimeout(() => {
      writtenAt = performance.now()
      response.write('data: first\n\n')
    }, EVENT_AFTER_MS)
  })
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
  const proxy = await through(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`)

  const delays: number[] = []
  for (let i = 0; i < STREAMS; i++) {
    const readAt = await firstRead(`${proxy.url}/stream/bench`)
    delays.push((readAt - writtenAt) * 1000)
  }
  await proxy.stop()
  upstream.closeAllConnections()
  upstream.close()
  delays.sort((a, b) => a - b)
  const at = (quantile: number): number => Math.round(delays[Math.ceil(STREAMS * quantile) - 1]!)
  return { p50Us: at(0.5), p99Us: at(0.99) }
}

function firstRead(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, response => {
      response.once('data', () => {
        resolve(performance.now())
        request.off('error', reject).on('error', () => undefined)
        request.destroy()
      })
    })
    request.once('error', reject)
  })
}
