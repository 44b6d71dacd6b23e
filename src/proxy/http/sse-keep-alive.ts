// Owns `--sse-keep-alive`: when an event stream was quiet for long, a comment tells everyone on its way to the client that it
// lives. Balancers, browsers and CDNs end what is silent, Cloudflare after about 125 s.

/** A comment, which clients skip (HTML, "Server-sent events", 9.2.6), and the empty line after which they expect the next event. */
export const sseComment = ':\n\n'

const LF = '\n'
const CR = '\r'

/** Watches one event stream on its way to the client. */
export class SseKeepAlive {
  readonly #timer: NodeJS.Timeout
  /** The last four bytes, Latin-1: as many as two ends of lines have. A stream begins as if an event had just ended. */
  #tail = LF + LF

  /** Calls `comment` when nothing passed for `quietMs`, and again and again, but never within an event. */
  constructor(quietMs: number, comment: () => void) {
    this.#timer = setInterval(() => {
      if (this.#isBetweenEvents) comment()
    }, quietMs).unref()
  }

  /** A part of the stream passes. */
  passed(part: Buffer): void {
    this.#timer.refresh()
    const end = part.toString('latin1', Math.max(0, part.length - 4))
    this.#tail = (this.#tail + end).slice(-4)
  }

  /** The stream is over. */
  end(): void {
    clearInterval(this.#timer)
  }

  /** An empty line was the last: the end of a line before the end of the last one. */
  get #isBetweenEvents(): boolean {
    const tail = this.#tail
    const last = tail.endsWith(CR + LF) ? 2 : tail.endsWith(LF) || tail.endsWith(CR) ? 1 : 0
    const before = tail.at(-last - 1)
    return last > 0 && (before === LF || before === CR)
  }
}
