// Owns a GET stream of a session, as its client and the gateway have it, and what its life says of the session.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExpectedSession } from './oracle.js'
import type { Setup, Told } from './stage.js'

let messages = 0

export class StandaloneStream {
  isOpen = true
  #leftAt = 0
  readonly #told: Told
  readonly #expected: ExpectedSession
  readonly #ended: Promise<void>

  constructor(told: Told, expected: ExpectedSession, { streamIsUse, confirms }: Setup) {
    this.#told = told
    this.#expected = expected
    if (streamIsUse) expected.add('present', told.scripted.answeredAt, told.exchange.headAt)
    this.#ended = told.exchange.end.then(async () => {
      this.isOpen = false
      const { exchange, scripted } = told
      if (this.#leftAt > 0) await seenBy(() => scripted.closedAt > 0)
      const from = this.#leftAt || scripted.finishedAt
      const to = this.#leftAt > 0 ? scripted.closedAt : exchange.endAt
      if (streamIsUse) expected.add('absent', from, to)
      if (this.#leftAt === 0 && confirms) expected.add('suspect', from, to)
    })
  }

  /** The server says something. */
  async message(): Promise<void> {
    const text = `message-${++messages};`
    const from = this.#told.scripted.write(`data: {"jsonrpc":"2.0","method":"${text}"}\n\n`)
    const at = await this.#told.exchange.until(text)
    this.#expected.add(at === undefined ? 'refused' : 'message', from, at ?? Date.now())
  }

  /** A comment is no use. */
  async comment(): Promise<void> {
    this.#told.scripted.write(': ping\n\n')
    await sleep(1)
  }

  async leave(): Promise<void> {
    if (this.isOpen) {
      this.#leftAt = Date.now()
      this.#told.exchange.leave()
    }
    await this.#ended
  }

  /** The gateway ends it, or cuts it off. */
  async finish(cut: boolean): Promise<void> {
    this.#told.scripted.finish(cut)
    await this.#ended
  }
}

/** Resolves once it is so, or after two seconds. */
export async function seenBy(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition() && waited < 2_000; waited += 10) await sleep(10)
}
