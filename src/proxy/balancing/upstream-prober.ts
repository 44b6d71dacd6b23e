// Owns finding out that a gateway takes connections again: attempts to connect, with backoff and jitter.
import type { Closable } from '../../util/startup.js'
import { openUpstreamSocket } from '../upstream/upstream-socket.js'
import type { Upstream } from './upstream.js'

/** Between two attempts: from the first of these, twice as long each time, to the second. Chosen. */
const MIN_WAIT_MS = 250
const MAX_WAIT_MS = 5_000
/** So much of each wait is left to chance, so that many proxies do not come at once. Chosen. */
const JITTER = 0.5

/** Probes a gateway whenever it fails, until it takes a connection. */
export function startUpstreamProber(upstream: Upstream, connectTimeoutMs: number): Closable {
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const wait = (ms: number): void => {
    timer = setTimeout(() => probe(ms), ms * (1 - JITTER * Math.random())).unref()
  }
  const probe = (waitedMs: number): void => {
    if (upstream.isUp) return
    const socket = openUpstreamSocket(upstream.url)
    const end = (connected: boolean): void => {
      socket
        .removeAllListeners()
        .on('error', () => undefined)
        .destroy()
      if (closed) return
      if (connected) upstream.recovered()
      else {
        upstream.failed()
        wait(Math.min(2 * waitedMs, MAX_WAIT_MS))
      }
    }
    socket.setTimeout(connectTimeoutMs, () => end(false))
    socket.once(upstream.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => end(true))
    socket.once('error', () => end(false))
  }
  upstream.onFailing = () => wait(MIN_WAIT_MS)
  return {
    close() {
      closed = true
      clearTimeout(timer)
      upstream.onFailing = undefined
      return Promise.resolve()
    }
  }
}
