// Owns who asks the admin ports for principals and conversations, during the run and at rest.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionStats } from '../../src/admin/schemas/monitoring-responses.js'
import { problemsOfPeople, problemsOfStats } from '../support/people.js'
import type { Member } from './fleet.js'

const EVERY_MS = 200
const TIMEOUT_MS = 2_000

/** Asks one admin port after the other for all open sessions and the numbers of the same moment. */
export class Asker {
  readonly #fleet: readonly Member[]
  #isOver = false
  #running: Promise<void> | undefined
  /** Answers. */
  checks = 0
  readonly violations: string[] = []

  constructor(fleet: readonly Member[]) {
    this.#fleet = fleet
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      await this.#ask(this.#fleet[i % this.#fleet.length]!)
      await sleep(EVERY_MS)
    }
  }

  async #ask({ name, adminUrl }: Member): Promise<void> {
    let stats: ConnectionStats
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS)
      const response = await fetch(`${adminUrl}/api/mcp/connections?limit=10000`, { signal })
      const body = (await response.json()) as ConnectionStats
      // The database is away.
      if (response.status !== 200) return
      stats = body
    } catch {
      // So is the proxy.
      return
    }
    this.checks++
    this.violations.push(...problemsOfStats(stats).map(problem => `${name}: ${problem}`))
  }
}

/** All that the admin port of a proxy says of people, against its rows. */
export async function peopleAtRest({ name, turnstile }: Member): Promise<string[]> {
  const rows = await turnstile.connections()
  return (await problemsOfPeople(path => turnstile.query(path), rows)).map(problem => `${name}: ${problem}`)
}
