// Owns watching the admin port while clients come and go: when an operator first sees a session closed.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionJson, Turnstile } from '../support/turnstile.js'

const POLL_MS = 10
const SETTLE_TIMEOUT_MS = 15_000

/** Polls a proxy's sessions from the moment it is made until `stop`. */
export class SessionObserver {
  readonly #turnstile: Turnstile
  readonly #closedSeenAt = new Map<string, number>()
  readonly #end = new AbortController()
  readonly #polling: Promise<void>
  /** Of sessions, not of session-less clients. */
  rows: ConnectionJson[] = []

  constructor(turnstile: Turnstile) {
    this.#turnstile = turnstile
    this.#polling = this.#poll()
  }

  /** When a session was first seen closed for good, in epoch ms. */
  closedSeenAt(sessionId: string): number | undefined {
    return this.#closedSeenAt.get(sessionId)
  }

  openIds(endpointId: string): string[] {
    return this.rows
      .filter(row => row.endpoint_id === endpointId && row.reason === null)
      .map(row => row.session_id)
  }

  /** Waits until it holds; whether it did. */
  async until(condition: () => boolean | Promise<boolean>): Promise<boolean> {
    const deadline = Date.now() + SETTLE_TIMEOUT_MS
    while (Date.now() < deadline) {
      if (await condition()) return true
      await sleep(POLL_MS)
    }
    return false
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await this.#polling
  }

  async #poll(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const rows = await this.#turnstile.connections()
      this.rows = rows.filter(row => row.transport_type !== 3)
      const now = Date.now()
      for (const { session_id, reason } of this.rows) {
        if (reason === null) this.#closedSeenAt.delete(session_id)
        else if (!this.#closedSeenAt.has(session_id)) this.#closedSeenAt.set(session_id, now)
      }
      await sleep(POLL_MS)
    }
  }
}
