// Owns the probe of the fault run, in a thread that nothing else holds up: how much longer it takes through the proxy until one of a
// few requests is answered than one that goes to the gateway at the same moment. A machine that is too busy slows down both. One
// request alone proves no stand-still: among so many short connections Linux drops the first packet of one in some thousands
// (`PAWSTimewait`), and sends it again after a second.
import { type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const EVERY_MS = 100
const AT_ONCE = 3
const GIVE_UP_MS = 60_000
const A_SECOND_MS = 1_000

interface Outcome {
  /** Until there is a response, or none to come. */
  ms: number
  /** The gateway took it, as far as one can see from outside. */
  isForwarded: boolean
}

/** In milliseconds, since the probe started. */
export interface Probed {
  probes: number
  /** By how much the slowest probe took longer through the proxy. */
  worstMs: number
  /** What the slowest direct request took. */
  worstDirectMs: number
  /** Single requests through the proxy that took more than a second. */
  slowRequests: number
}

/** Probes until the function that it returns is called. */
export function startProbe(proxyPort: number, gatewayPort: number): () => Promise<Probed> {
  const thread = new Worker(new URL(import.meta.url), { workerData: { proxyPort, gatewayPort } })
  return () =>
    new Promise<Probed>(resolve => {
      thread.once('message', (probed: Probed) => {
        resolve(probed)
        void thread.terminate()
      })
      thread.postMessage('stop')
    })
}

function ask(port: number): Promise<Outcome> {
  const startedAt = performance.now()
  return new Promise(resolve => {
    const over = (response?: IncomingMessage): void => {
      const isForwarded = response !== undefined && response.statusCode! < 500
      resolve({ ms: performance.now() - startedAt, isForwarded })
    }
    const headers = { 'mcp-session-id': 'probe' }
    request(
      { port, host: '127.0.0.1', method: 'POST', path: '/stream/e', headers, agent: false },
      response => {
        over(response)
        response.resume()
      }
    )
      .once('error', () => over())
      .setTimeout(GIVE_UP_MS, () => over())
      .end('{}')
  })
}

if (!isMainThread) {
  const { proxyPort, gatewayPort } = workerData as { proxyPort: number; gatewayPort: number }
  const probed: Probed = { probes: 0, worstMs: 0, worstDirectMs: 0, slowRequests: 0 }
  const noteSlow = ({ ms }: Outcome): number => (probed.slowRequests += ms > A_SECOND_MS ? 1 : 0)
  parentPort!.once('message', () => parentPort!.postMessage(probed))
  for (;;) {
    const all = Array.from({ length: AT_ONCE }, () => ask(proxyPort))
    for (const one of all) void one.then(noteSlow)
    const [proxied, direct] = await Promise.all([Promise.race(all), ask(gatewayPort)])
    // A gateway that was just away refuses the one at once, and takes the other, with all who waited for it.
    if (direct.isForwarded || !proxied.isForwarded) {
      probed.probes++
      probed.worstMs = Math.max(probed.worstMs, proxied.ms - direct.ms)
      probed.worstDirectMs = Math.max(probed.worstDirectMs, direct.ms)
    }
    await sleep(EVERY_MS)
  }
}
