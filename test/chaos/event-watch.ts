// Owns the check of events: a consumer that is killed at random misses and repeats nothing, and what its events say is open is open.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { EventsPage, SessionCloudEvent } from '../../src/admin/schemas/event-responses.js'
import { Random } from '../support/random.js'
import type { SessionRow } from './reader.js'

const CONSUMER = fileURLToPath(new URL('./event-consumer.js', import.meta.url))
const LIFE_MS: [number, number] = [200, 4_000]
/** In which the consumer has the last event, once the proxies rest. */
const CATCH_UP_MS = 40_000

export class EventWatch {
  readonly #file: string
  readonly #adminUrls: readonly string[]
  readonly #random: Random
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #consumer: ChildProcess | undefined
  /** The next consumer may live. */
  #isCatchingUp = false
  kills = 0
  events = 0
  readonly violations: string[] = []

  constructor(file: string, adminUrls: readonly string[], random: Random) {
    this.#file = file
    this.#adminUrls = adminUrls
    this.#random = random
    writeFileSync(file, '')
    this.#running = this.#run()
  }

  /** For the end of a run that failed. */
  killNow(): void {
    this.#consumer?.kill('SIGKILL')
  }

  /** To be called while the proxies rest; `rows`: all sessions then. */
  async stop(rows: readonly SessionRow[]): Promise<void> {
    const all = await this.#all()
    this.#isCatchingUp = true
    const deadline = Date.now() + CATCH_UP_MS
    while (this.#seen().length < all.length && Date.now() < deadline) await sleep(100)
    this.#stopping.abort()
    await this.#running
    const seen = this.#seen()
    this.events = seen.length
    const [ids, expected] = [seen.map(({ id }) => id), all.map(({ id }) => id)]
    if (new Set(ids).size !== ids.length) this.violations.push('an event came twice under one id')
    const wrong = expected.findIndex((id, i) => ids[i] !== id)
    if (wrong >= 0 || ids.length !== expected.length)
      this.violations.push(
        `a consumer has ${ids.length} of ${expected.length} events; number ${wrong} is ${ids[wrong]}, not ${expected[wrong]}`
      )
    const isOpen = new Set<string>()
    for (const { type, subject } of seen) {
      if (isOpen.has(subject) !== (type === 'mcp.session.closed'))
        this.violations.push(`${type} of ${subject} is not in its turn`)
      if (type === 'mcp.session.closed') isOpen.delete(subject)
      else isOpen.add(subject)
    }
    for (const { endpointId, sessionId, reason } of rows) {
      const subject = `${endpointId}/${sessionId}`
      if (isOpen.delete(subject) !== (reason === null))
        this.violations.push(`${subject} is ${reason ?? 'open'}, and its events say something else`)
    }
    for (const subject of isOpen) this.violations.push(`${subject} is open by its events, and has no row`)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const seed = String(this.#random.int(0, 1e6))
      const consumer = fork(CONSUMER, [this.#file, seed, ...this.#adminUrls])
      this.#consumer = consumer
      const ended = once(consumer, 'exit') as Promise<[number | null]>
      const lifeMs = this.#isCatchingUp ? CATCH_UP_MS : this.#random.int(...LIFE_MS)
      const life = sleep(lifeMs, undefined, { signal }).catch(() => undefined)
      const died = await Promise.race([ended, life])
      if (died !== undefined) this.violations.push(`a consumer ended by itself: ${died[0]}`)
      consumer.kill('SIGKILL')
      await ended
      this.kills++
    }
  }

  /** What the consumer wrote whole. */
  #seen(): Pick<SessionCloudEvent, 'id' | 'type' | 'subject'>[] {
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1)
    while (lines.at(-1)?.startsWith('- ')) lines.pop()
    return lines.map(line => {
      const [, id = '', type = '', subject = ''] = line.split(' ')
      return { id, type: type as SessionCloudEvent['type'], subject }
    })
  }

  /** All events, as one asks who was never killed. */
  async #all(): Promise<SessionCloudEvent[]> {
    const all: SessionCloudEvent[] = []
    for (let cursor = ''; ;) {
      const response = await fetch(
        `${this.#adminUrls[0]}/api/events?limit=5000${cursor && `&after=${cursor}`}`
      )
      const page = (await response.json()) as EventsPage
      if (page.events.length === 0) return all
      all.push(...page.events)
      cursor = page.cursor
    }
  }
}
