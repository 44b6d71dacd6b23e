// Owns the client beside the fuzz that does all as it should: it gets its own answers, and its sessions are counted right.
import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Turnstile } from '../support/turnstile.js'
import { GOOD_PATH } from './upstream.js'

/** A session of the client as it must be in the store. */
interface Expected {
  requests: number
  isOpen: boolean
}

export class WellBehaved {
  readonly #turnstile: Turnstile
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  /** Whether the gateway may cut a connection under a request: that is a 502, which nobody counts. */
  readonly #mayBreak: boolean
  readonly #expected = new Map<string, Expected>()
  readonly problems: string[] = []
  broken = 0

  constructor(turnstile: Turnstile, mayBreak: boolean) {
    this.#turnstile = turnstile
    this.#mayBreak = mayBreak
  }

  get sessions(): number {
    return this.#expected.size
  }

  /** Opens, uses and ends sessions, until `running` aborts. */
  async run(running: AbortSignal): Promise<void> {
    while (!running.aborted) {
      const opened = await this.#ask('POST')
      if (opened?.status === 200) {
        const session = { requests: 1, isOpen: true }
        this.#expected.set(opened.session, session)
        for (let i = 0; i < 3; i++) if (await this.#ask('POST', opened.session)) session.requests++
        if (this.sessions % 2 && (await this.#ask('DELETE', opened.session))) session.isOpen = false
      }
      await sleep(20)
    }
    this.#agent.destroy()
  }

  /** Compares the store with what was done. */
  async check(): Promise<void> {
    await this.#turnstile.shipped()
    const rows = (await this.#turnstile.connections('&endpoint_id=good')).filter(
      row => row.transport_type === 2
    )
    if (rows.length !== this.sessions) this.problems.push(`${rows.length} rows for ${this.sessions} sessions`)
    for (const { session_id: id, reason, request_count: count } of rows) {
      const expected = this.#expected.get(id)
      const isRight =
        expected &&
        (reason === null) === expected.isOpen &&
        // A request that was broken off is counted or not.
        (this.#mayBreak ? count >= expected.requests : count === expected.requests)
      if (!isRight) this.problems.push(`${id}: ${reason}, ${count}, not ${JSON.stringify(expected)}`)
    }
    const open = [...this.#expected.values()].filter(({ isOpen }) => isOpen).length
    const count = await this.#turnstile.count('good')
    if (count !== open) this.problems.push(`connect_num is ${count}, not ${open}`)
  }

  /** Undefined for a request that the gateway broke off. */
  async #ask(method: string, session?: string): Promise<{ status: number; session: string } | undefined> {
    const { hostname, port } = new URL(this.#turnstile.proxyUrl)
    const token = randomUUID()
    const headers = { 'x-token': token, ...(session !== undefined && { 'mcp-session-id': session }) }
    const options = { hostname, port, method, path: GOOD_PATH, headers, agent: this.#agent }
    return await new Promise(resolve => {
      request(options, response => {
        const { statusCode: status = 0 } = response
        response.resume().once('close', () => {
          if (status === 502 && this.#mayBreak) {
            this.broken++
            return resolve(undefined)
          }
          const isRight =
            status === (session === undefined ? 200 : 202) && response.headers['x-token'] === token
          if (!isRight)
            this.problems.push(`${method} was answered ${status} ${JSON.stringify(response.headers)}`)
          resolve(isRight ? { status, session: String(response.headers['mcp-session-id']) } : undefined)
        })
      })
        .once('error', error => {
          this.problems.push(`${method}: ${error.message}`)
          resolve(undefined)
        })
        .end(method === 'POST' ? '{}' : undefined)
    })
  }
}
