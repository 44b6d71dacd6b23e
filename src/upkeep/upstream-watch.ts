// Owns noticing that the upstream may have restarted: a connection on which nothing is ever sent ends with the process.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SerialUpstreamDetector } from '../proxy/upstream/serial-upstream.js'
import { openUpstreamSocket } from '../proxy/upstream/upstream-socket.js'
import type { Closable } from '../util/startup.js'
import { type EpochMs, epochNow, monotonicNow } from '../util/time.js'

/** Between two attempts to connect, at least. Chosen: a restart is noticed at once, and attempts cost nothing. */
const RETRY_MS = 250
/**
 * So often the connection is closed and opened again while the upstream may be one that serves one connection at a time: the
 * watches of other workers and proxies may stand in the way of requests too, and gunicorn kills a worker that waits for 30 s.
 * Chosen.
 */
const UNDECIDED_MS = 2_000
/** Servers look for silent connections at intervals, so that the time for which they leave them open varies. Chosen. */
const SILENCE_TOLERANCE = 0.9

/** What `startUpstreamWatch` needs. */
export interface UpstreamWatchOptions {
  upstream: URL
  connectTimeoutMs: number
  /** Is told of the connection, and tells whether it stands in the way of requests. */
  serialUpstream: Pick<SerialUpstreamDetector, 'undecided' | 'mayYield' | 'silentOpened' | 'silentClosed'>
  /** The upstream takes no connections. */
  onAway?: () => void
  /**
   * The upstream takes connections again after it took none since `awaySince`: sessions that were used since then are its
   * new ones, and tell nothing of those before.
   */
  onReturn: (awaySince: EpochMs) => void
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

/** Keeps one connection to the upstream until it is closed, but while it is paused. */
export class UpstreamWatch implements Closable {
  readonly #options: UpstreamWatchOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #socket: Socket | undefined
  /** How long the upstream leaves a silent connection open, as far as that is known. */
  #silenceLimitMs = Infinity
  /** The upstream takes no connections. */
  away = false
  /** When it was seen last before `away`: who was seen later lives on. */
  #awaySince: EpochMs = 0
  /** It holds no connection any more: it only waits, once one was refused, for the upstream to take connections again. */
  gaveUp = false
  #paused = false
  /** Ends the pause. */
  #resume: () => void = () => undefined
  /** The proxy closed the connection: that says nothing of the upstream. */
  #leaving = false

  constructor(options: UpstreamWatchOptions) {
    this.#options = options
    this.#running = this.#run(this.#closing.signal)
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.pause()
    this.resume()
    await this.#running
  }

  /** Closes the connection until `resume`. */
  pause(): void {
    this.#paused = true
    this.#leave()
  }

  /** Ends the pause, if there is one. */
  resume(): void {
    this.#paused = false
    this.#resume()
  }

  /** Closes the connection for good. */
  giveUp(): void {
    this.gaveUp = true
    this.pause()
  }

  /** The upstream refused a connection: after `giveUp`, its return is awaited. */
  refused(): void {
    this.#noteAway(epochNow())
    this.resume()
  }

  #leave(): void {
    this.#leaving = true
    this.#socket?.destroy()
  }

  async #run(signal: AbortSignal): Promise<void> {
    let lost: Loss | undefined
    while (!signal.aborted) {
      if (this.#paused) {
        await new Promise<void>(resolve => (this.#resume = resolve))
        continue
      }
      this.#leaving = false
      const startedMs = monotonicNow()
      const left = await this.#hold(lost)
      const livedMs = monotonicNow() - startedMs
      lost = left ? undefined : { at: epochNow(), livedMs }
      if (livedMs < RETRY_MS) await sleep(RETRY_MS - livedMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Connects; resolves when that failed, or when the connection is over: whether the proxy closed it. */
  #hold(lost: Loss | undefined): Promise<boolean> {
    const { upstream, connectTimeoutMs, serialUpstream } = this.#options
    return new Promise(resolve => {
      const socket = openUpstreamSocket(upstream)
      this.#socket = socket
      let connected = false
      let undecided: NodeJS.Timeout | undefined
      socket.once(upstream.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        connected = true
        socket.setTimeout(0)
        this.#onConnected(lost)
        if (this.gaveUp) return this.pause()
        serialUpstream.silentOpened()
        if (!serialUpstream.undecided) return
        undecided = setInterval(() => {
          if (serialUpstream.mayYield) this.#leave()
        }, UNDECIDED_MS)
      })
      socket.setTimeout(connectTimeoutMs, () => socket.destroy())
      socket.on('error', () => undefined)
      socket.once('close', () => {
        clearInterval(undecided)
        serialUpstream.silentClosed()
        if (!connected && !this.#leaving) this.#noteAway(lost?.at ?? epochNow())
        resolve(this.#leaving)
      })
      socket.resume()
    })
  }

  #noteAway(at: EpochMs): void {
    if (this.away) return
    this.#awaySince = at
    this.away = true
    this.#options.onAway?.()
  }

  #onConnected(lost: Loss | undefined): void {
    const { onReturn, onLoss } = this.#options
    if (this.away) {
      this.away = false
      onReturn(this.#awaySince)
    } else if (lost && lost.livedMs < this.#silenceLimitMs * SILENCE_TOLERANCE) {
      void onLoss(lost.at).then(livesOn => {
        if (livesOn) this.#silenceLimitMs = Math.min(this.#silenceLimitMs, lost.livedMs)
      })
    }
  }
}

/** Starts to watch; the upstream need not be reachable. */
export const startUpstreamWatch = (options: UpstreamWatchOptions): UpstreamWatch => new UpstreamWatch(options)
