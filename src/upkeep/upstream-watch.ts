// Owns noticing that the upstream may have restarted: a connection on which nothing is ever sent ends with the process.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../proxy/upstream/upstream-socket.js'

/** Between attempts to connect, at least. */
const RETRY_MS = 250
/** Timeouts of a server vary by the interval in which it looks for them. */
const HABIT_TOLERANCE = 0.9

export interface UpstreamWatchOptions {
  upstream: URL
  connectTimeoutMs: number
  /** The upstream takes connections again after it took none. */
  onReturn: () => void
  /**
   * It ended the connection at `lostAt` (epoch ms) and took another one at once: it restarted in no time, or closes what
   * is silent. Resolves with true when sessions were seen to live on.
   */
  onLoss: (lostAt: number) => Promise<boolean>
}

/** The end of a connection. */
interface Loss {
  at: number
  livedMs: number
}

export class UpstreamWatch {
  readonly #options: UpstreamWatchOptions
  readonly #stopping = new AbortController()
  #socket: Socket | undefined
  /** How long the upstream leaves a silent connection open, as far as it is known. */
  #habitMs = Infinity
  /** It takes no connections. */
  away = false

  constructor(options: UpstreamWatchOptions) {
    this.#options = options
    void this.#run(this.#stopping.signal)
  }

  stop(): void {
    this.#stopping.abort()
    this.#socket?.destroy()
  }

  async #run(signal: AbortSignal): Promise<void> {
    let lost: Loss | undefined
    while (!signal.aborted) {
      const startedMs = performance.now()
      await this.#hold(lost)
      const livedMs = performance.now() - startedMs
      lost = { at: Date.now(), livedMs }
      if (livedMs < RETRY_MS) await sleep(RETRY_MS - livedMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Resolves when there is no connection any more. */
  #hold(lost: Loss | undefined): Promise<void> {
    const { upstream, connectTimeoutMs } = this.#options
    return new Promise(resolve => {
      const socket = connect(upstream)
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
    } else if (lost && lost.livedMs < this.#habitMs * HABIT_TOLERANCE) {
      void onLoss(lost.at).then(livesOn => {
        if (livesOn) this.#habitMs = Math.min(this.#habitMs, lost.livedMs)
      })
    }
  }
}
