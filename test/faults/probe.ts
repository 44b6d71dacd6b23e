// Owns the probe of the fault run, in a thread that nothing else holds up: how much longer a request takes through the proxy than
// one that goes to the gateway at the same moment. A machine that is too busy slows down both.
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const EVERY_MS = 100
const GIVE_UP_MS = 60_000

/** In milliseconds, since the probe started. */
export interface Probed {
  requests: number
  /** By how much the slowest request took longer through the proxy. */
  worstMs: number
  /** So many took longer than a second more. */
  overASecond: number
  /** What the slowest direct request took. */
  worstDirectMs: number
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

/** Milliseconds until there is a response, or none to come. */
function ask(port: number): Promise<number> {
  const startedAt = performance.now()
  return new Promise(resolve => {
    const over = (): void => resolve(performance.now() - startedAt)
    const headers = { 'mcp-session-id': 'probe' }
    request(
      { port, host: '127.0.0.1', method: 'POST', path: '/stream/e', headers, agent: false },
      response => {
        over()
        response.resume()
      }
    )
      .once('error', over)
      .setTimeout(GIVE_UP_MS, over)
      .end('{}')
  })
}

if (!isMainThread) {
  const { proxyPort, gatewayPort } = workerData as { proxyPort: number; gatewayPort: number }
  const probed: Probed = { requests: 0, worstMs: 0, overASecond: 0, worstDirectMs: 0 }
  parentPort!.once('message', () => parentPort!.postMessage(probed))
  for (;;) {
    const [proxied, direct] = await Promise.all([ask(proxyPort), ask(gatewayPort)])
    probed.requests++
    probed.worstMs = Math.max(probed.worstMs, proxied - direct)
    probed.worstDirectMs = Math.max(probed.worstDirectMs, direct)
    if (proxied - direct > 1_000) probed.overASecond++
    await sleep(EVERY_MS)
  }
}
