// Owns the command that follows sessions: a line for each that opens, ends or is reopened, for as long as it runs.
import { setTimeout as sleep } from 'node:timers/promises'
import { AdminApiError } from './admin-api.js'
import { command } from './command.js'
import { shown, type Style, shownDuration } from './shown-values.js'
import type { Output } from './terminal-output.js'
import { flag, narrowing, sinceCursor } from './terminal-settings.js'

/** For how long the admin port waits for events. Chosen: proxies on the way wait longer. */
const WAIT = '30s'
/** Chosen: an admin port that starts again is found soon, and one that is away is asked seldom. */
const RETRY_MS = [500, 1_000, 2_000, 5_000]

/** What is read of an event of `/api/events` (CloudEvents). */
interface TailedEvent {
  type: string
  time: string
  data: {
    endpointId: string
    sessionId: string
    reason?: string | null
    duration?: number | null
    upstream?: string | null
    clientName?: string | null
    userAgent?: string | null
    principal?: string | null
  }
}

interface EventsPage {
  events: TailedEvent[]
  cursor: string
}

const styles: Record<string, Style> = { opened: 'green', closed: 'dim', reopened: 'yellow' }

/** `mcp-turnstile tail` */
export const tail = command({
  summary: 'a line for each session that opens or ends, until you stop it',
  usage: '',
  operands: { least: 0, most: 0 },
  details: [
    'As JSON: a line for each event, as in `events` of /api/events. While the admin port is away it waits, and leaves nothing out.'
  ],
  settings: {
    endpoint: narrowing.endpoint,
    since: flag(
      sinceCursor,
      'start at that cursor of /api/events, or at the first event that is kept with `start` (default: now)'
    )
  },
  async run({ api, output, flags: { endpoint, since = 'now' } }) {
    let after = since === 'start' ? undefined : since
    let failures = 0
    for (;;) {
      try {
        const query = { endpointId: endpoint, after, wait: WAIT }
        const { events, cursor }: EventsPage = await api.ask<EventsPage>('/api/events', query)
        for (const event of events) {
          if (output.isJson) output.json(event)
          else output.line(lineOf(event, output))
        }
        after = cursor
        failures = 0
      } catch (error) {
        if (!(error instanceof AdminApiError) || (error.status ?? 500) < 500) throw error
        if (failures === 0) output.note(`${error.message}; waiting for it`)
        await sleep(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)])
      }
    }
  }
})

function lineOf({ type, time, data }: TailedEvent, output: Output): string {
  const kind = type.replace(/^.*\./, '')
  const { endpointId, sessionId, reason, duration, upstream, clientName, userAgent, principal } = data
  const end =
    typeof duration === 'number' ? `${reason ?? 'ended'} after ${shownDuration(duration)}` : undefined
  const details = [endpointId, sessionId, clientName ?? userAgent, principal, upstream, end]
  const text = shown(details.filter(detail => typeof detail === 'string' && detail !== '').join('  '))
  return `${shown(time)}  ${output.styled(shown(kind).padEnd(8), styles[kind])}  ${text}`
}
