// Owns noticing that the upstream may have restarted: a connection on which nothing is ever sent ends with the process.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { openUpstreamSocket } from '../proxy/upstream/upstream-socket.js'
import type { Closable } from '../util/startup.js'
import { type EpochMs, epochNow, monotonicNow } from '../util/time.js'

/** Between two attempts to connect, at least. Chosen: a restart is noticed at once, and attempts cost nothing. */
const RETRY_MS = 250
/** Servers look for silent connections at intervals, so the time after which they close them varies by about so much. Chosen. */
const SILENCE_TOLERANCE = 0.9

/** What `startUpstreamWatch` needs. */
export interface UpstreamWatchOptions {
  upstream: URL
  connectTimeoutMs: number
  /** The upstream takes connections again after it took none. */
  onReturn: () => void
  /**
   * The upstream ended the connection at `lostAt` and took another one at once: either it restarted quickly, or it closes
   * connections that are silent. Resolves with true when its sessions were seen to live on.
   */
  onLoss: (lostAt: EpochMs) => Promise<boolean>
}

/** The end of a connection. */
interface Loss {
  at: EpochMs
  livedMs: number
}

/** Keeps one connection to the upstream until it is closed. */
export class UpstreamWatch implements Closable {
  readonly #options: UpstreamWatchOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #socket: Socket | undefined
  /** How long the upstream leaves a silent connection open, as far as that is known. */
  #silenceLimitMs = Infinity
  /** The upstream takes no connections. */
  away = false

  constructor(options: UpstreamWatchOptions) {
    this.#options = options
    this.#running = this.#run(this.#closing.signal)
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#socket?.destroy()
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    let lost: Loss | undefined
    while (!signal.aborted) {
      const startedMs = monotonicNow()
      await this.#hold(lost)
      const livedMs = monotonicNow() - startedMs
      lost = { at: epochNow(), livedMs }
      if (livedMs < RETRY_MS) await sleep(RETRY_MS - livedMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Connects; resolves when that failed, or when the connection is over. */
  #hold(lost: Loss | undefined): Promise<void> {
    const { upstream, connectTimeoutMs } = this.#options
    return new Promise(resolve => {
      const socket = openUpstreamSocket(upstream)
      this.#socket = socket
      let connected = false
      socket.once(upstream.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        connected = true
        socket.setTimeout(0)
        this.#onConnected(lost)
      })
      socket.setTimeout(connectTimeoutMs, () => socket.destroy())
      socket.on('error', () => undefined)
      socket.once('close', () => {
        if (!connected) this.away = true
        resolve()
      })
      socket.resume()
    })
  }

  #onConnected(lost: Loss | undefined): void {
    const { onReturn, onLoss } = this.#options
    if (this.away) {
      this.away = false
      onReturn()
    } else if (lost && lost.livedMs < this.#silenceLimitMs * SILENCE_TOLERANCE) {
      void onLoss(lost.at).then(livesOn => {
        if (livesOn) this.#silenceLimitMs = Math.min(this.#silenceLimitMs, lost.livedMs)
      })
    }
  }
}

/** Starts to watch; the upstream need not be reachable. */
export const startUpstreamWatch = (options: UpstreamWatchOptions): UpstreamWatch => new UpstreamWatch(options)
