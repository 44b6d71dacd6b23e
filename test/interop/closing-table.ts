// Owns the table of docs/clients.md: how clients leave: what they do, what is recorded, and how soon an operator sees it.
import type { RecordedSession } from './http-recorder.js'
import type { TransportName } from './servers.js'

const whatEnds = { delete: 'DELETE', stream_end: 'ends its stream', idle: 'nothing' }

interface Row {
  reasons: Set<keyof typeof whatEnds>
  /** From the ending (of idle ones: the moment they had been idle for long enough) until seen closed. */
  delaysMs: number[]
}

export class ClosingTable {
  readonly #idleS: number
  readonly #rows = new Map<string, Row>()

  constructor(idleS: number) {
    this.#idleS = idleS
  }

  add(client: string, transport: TransportName, session: RecordedSession, closedSeenAt: number): void {
    const key = `${client} | ${transport}`
    const row = this.#rows.get(key) ?? { reasons: new Set(), delaysMs: [] }
    this.#rows.set(key, row)
    row.reasons.add(session.ended?.by ?? 'idle')
    row.delaysMs.push(closedSeenAt - (session.ended?.at ?? session.lastAt + this.#idleS * 1000))
  }

  /** Markdown, a line a client and transport. */
  lines(): string[] {
    return [...this.#rows]
      .toSorted(([a], [b]) => a.localeCompare(b, 'en'))
      .map(([key, { reasons, delaysMs }]) => {
        const does = [...reasons].map(reason => whatEnds[reason]).join(', ')
        const recorded = [...reasons].map(reason => `\`${reason}\``).join(', ')
        const range = `${Math.min(...delaysMs)}-${Math.max(...delaysMs)} ms`
        const after = reasons.has('idle') ? `idle timeout + ${range}` : range
        return `| ${key} | ${does} | ${recorded} | ${after} |`
      })
  }
}
