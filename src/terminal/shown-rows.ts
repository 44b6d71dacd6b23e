// Owns the columns of sessions and gateways, as lists and `top` show them.
import type { ConnectionInfo, UpstreamInfo } from '../admin/schemas/monitoring-responses.js'
import { shownDuration } from './shown-values.js'
import type { Column } from './text-table.js'

/** Of open sessions. */
export const sessionColumns = (now: number): readonly Column<ConnectionInfo>[] => [
  { title: 'SESSION', of: row => row.sessionId, whole: true },
  { title: 'ENDPOINT', of: row => row.endpointId },
  { title: 'AGE', of: row => shownDuration(now - Date.parse(row.connectedAt)), align: 'right', whole: true },
  {
    title: 'IDLE',
    of: row => shownDuration(now - Date.parse(row.lastActivity)),
    align: 'right',
    whole: true
  },
  { title: 'REQUESTS', of: row => row.requestCount, align: 'right', whole: true },
  { title: 'CLIENT', of: row => row.clientName ?? row.userAgent },
  { title: 'PRINCIPAL', of: row => row.principal, optional: true, cutAt: 'beginning' },
  { title: 'GATEWAY', of: row => row.upstream, optional: true, cutAt: 'beginning' },
  { title: 'TRANSPORT', of: row => row.transport, optional: true },
  { title: 'ADDRESS', of: row => row.clientIP, optional: true }
]

const stateOf = ({ state, draining, safeToStop }: UpstreamInfo): string =>
  state + (safeToStop ? ', safe to stop' : draining ? ', draining' : '')

/** Of gateways. */
export const upstreamColumns: readonly Column<UpstreamInfo>[] = [
  { title: 'GATEWAY', of: row => row.name },
  {
    title: 'STATE',
    of: stateOf,
    whole: true,
    style: ({ state, draining }) => (state === 'up' ? (draining ? 'yellow' : 'green') : 'red')
  },
  { title: 'SESSIONS', of: row => row.activeConnections, align: 'right', whole: true },
  { title: 'REQUESTS', of: row => row.requestsInFlight, align: 'right', whole: true },
  { title: 'STREAMS', of: row => row.streams, align: 'right', whole: true },
  { title: 'URL', of: row => row.url, optional: true },
  { title: 'FAILING SINCE', of: row => row.failingSince, optional: true }
]
