// Owns a session as its client and the gateway have it, and what the gateway says when the proxy itself asks for it.
import { createHash, randomUUID } from 'node:crypto'
import { Random } from '../support/random.js'
import { answerThat, type Meaning } from './answers.js'
import { ExpectedSession, type What } from './oracle.js'
import type { Asked } from './scripted-gateway.js'
import type { StandaloneStream } from './standalone-stream.js'

/** What the response to a ping shows. */
const shown: Record<Meaning, What> = {
  use: 'ping-accepted',
  refused: 'ping-unclear',
  gone: 'gone',
  suspect: 'gone'
}

export class HeldSession implements Asked {
  readonly expected: ExpectedSession
  readonly streams: StandaloneStream[] = []
  /** The gateway does not know it any more. */
  forgotten = false
  /** What the gateway answers to a DELETE of the proxy, and how many there were. */
  killStatus = 405
  kills = 0
  readonly #random: Random

  constructor(
    endpointId: string,
    /** As on the wire. */
    readonly id: string,
    readonly agent: string,
    clientName: string | null | undefined,
    seed: number
  ) {
    const stored = id.length <= 255 ? id : `sha256-${createHash('sha256').update(id).digest('hex')}`
    this.expected = new ExpectedSession(endpointId, stored, 2, agent)
    this.expected.clientName = clientName
    this.#random = new Random(seed)
  }

  answer(method: string): ReturnType<Asked['answer']> {
    if (method !== 'POST') {
      this.kills++
      return { script: { status: this.killStatus }, answered: () => undefined }
    }
    const meaning: Meaning = this.forgotten
      ? this.#random.pick(['gone', 'suspect'])
      : this.#random.weighted<Meaning>([
          [80, 'use'],
          [8, 'refused'],
          [6, 'gone'],
          [4, 'suspect']
        ])
    return {
      script: answerThat(this.#random, meaning),
      answered: (from, to) => this.expected.add(from > 0 ? shown[meaning] : 'ping-unclear', from || to, to)
    }
  }
}

/** An id as gateways issue them, which nobody else has. */
export function newSessionId(random: Random): string {
  const unique = randomUUID()
  return random.pick([
    unique,
    unique,
    unique,
    `eyJhbGciOi.${unique.repeat(10)}.sig`,
    `'";--\\/%00<b>&${unique}`,
    `${unique.slice(0, 8)}!#$*+^_|~()[]{}`
  ])
}
