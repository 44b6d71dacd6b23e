// Owns the REST side of the monitoring interface: the sessions that are open now, and the state and tools of the gateway.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyPluginCallback, FastifyReply, FastifyRequest, RawServerDefault } from 'fastify'
import Type, { type TSchema } from 'typebox'
import type { SessionRow } from '../../ledger/store-port.js'
import type { Log } from '../../util/log.js'
import { endpointFilter, type Narrowing } from '../endpoint-filter.js'
import type { GatewayClient } from '../gateway/gateway-client.js'
import type { Monitor } from '../monitor.js'
import { nextPage } from '../paging/next-page.js'
import { CHUNK_ROWS, sendJson } from '../paging/streamed-response.js'
import { BadQueryError } from '../schemas/admin-errors.js'
import { encodeCursor, encodePrincipalCursor, type Position } from '../schemas/cursor.js'
import { responses } from '../schemas/fields.js'
import {
  ActiveCount,
  ConnectionInfo,
  ConnectionNotFound,
  ConnectionStats,
  GatewayHealth,
  GatewayStatus,
  PrincipalInfo,
  ProxyInfo,
  Tool,
  type UncountedPath
} from '../schemas/monitoring-responses.js'
import {
  EndpointParameters,
  PrincipalsParameters,
  SessionPath,
  StatsParameters
} from '../schemas/parameters.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'

/** How many sessions a response lists if the request names no limit. Chosen. */
const DEFAULT_LIMIT = 1_000

/** What the routes of the monitoring interface read from. */
export interface MonitoringRoutesOptions {
  monitor: Monitor
  gateway: GatewayClient
  /** Whether what is observed reaches the store within some seconds. */
  keepsUp: () => boolean | Promise<boolean>
  /** Paths on which MCP passes that no setting counts. */
  uncounted: () => UncountedPath[] | Promise<UncountedPath[]>
  /** The most ended sessions of a status response (--history-limit). */
  historyLimit: number
  /** The settings in a status response: no secrets. */
  settings: Record<string, unknown>
  /** The URL at which clients connect to an endpoint; for undefined the pattern of these URLs. */
  endpointUrl: (endpointId: string | undefined) => string
  log: Log
}

const tags = ['monitoring']

/** How long a health check waits for the store. Chosen: a store that does not respond is told within 5 s. */
const HEALTH_TIMEOUT_MS = 3_000

/** What was asked for, or undefined where it does not come in time for a health check. */
const inTime = <T>(asked: Promise<T>): Promise<T | undefined> =>
  Promise.race([asked, sleep(HEALTH_TIMEOUT_MS, undefined, { ref: false })])

/** `/api/mcp/status`, `/health`, `/tools`, `/proxies` and `/connections`, and `/internal/connections`. */
export const monitoringRoutes: FastifyPluginCallback<
  MonitoringRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { monitor, gateway, keepsUp, uncounted, historyLimit, settings, endpointUrl, log }, done) => {
  /** The endpoint asked for, or the one that a client joined last. */
  async function endpointWithTools(asked: string | undefined): Promise<string | undefined> {
    if (asked !== undefined) return asked
    const [newest] = await monitor.open({}, 1)
    return newest?.endpointId
  }

  /** Its tools, none where they are not known. */
  async function knownTools(asked: string | undefined): Promise<Tool[]> {
    try {
      const endpointId = await endpointWithTools(asked)
      return endpointId === undefined ? [] : await gateway.tools(endpointId)
    } catch {
      return []
    }
  }

  const ofEndpoint = (summary: string, response: TSchema) => ({
    schema: { tags, summary, querystring: EndpointParameters, response: responses({ 200: response }) }
  })

  app.get(
    '/api/mcp/status',
    ofEndpoint('The gateway, its tools and its sessions', GatewayStatus),
    async request => {
      const { endpointId } = request.query
      const filter = endpointFilter(endpointId)
      const [isRunning, tools, stats, history] = await Promise.all([
        gateway.isReachable(),
        knownTools(endpointId),
        monitor.stats(filter, DEFAULT_LIMIT),
        monitor.history(filter, historyLimit)
      ])
      return {
        isRunning,
        toolsCount: tools.length,
        endpoint: endpointUrl(endpointId),
        tools,
        config: settings,
        connections: {
          active: stats.activeConnections,
          total: stats.totalConnections,
          details: stats.connections,
          history
        }
      }
    }
  )

  app.get(
    '/api/mcp/health',
    ofEndpoint('Whether the gateway answers and the ledger keeps up', GatewayHealth),
    async request => {
      const { endpointId } = request.query
      const [uncountedPaths, serverRunning, tools, totals] = await Promise.all([
        uncounted(),
        gateway.isReachable(),
        inTime(knownTools(endpointId)),
        inTime(
          monitor.totals(endpointFilter(endpointId)).catch((error: unknown) => {
            log.error({ err: error }, 'the totals for /api/mcp/health cannot be read')
            return undefined
          })
        )
      ])
      return {
        healthy: serverRunning && totals !== undefined && (await keepsUp()),
        serverRunning,
        toolsCount: tools?.length ?? 0,
        endpoint: endpointUrl(endpointId),
        connections: { active: totals?.openNum ?? 0, total: totals?.openedNum ?? 0 },
        ...(uncountedPaths.length > 0 && { uncounted: uncountedPaths }),
        lastCheck: monitor.time()
      }
    }
  )

  app.get('/api/mcp/tools', ofEndpoint('The tools of an endpoint', Type.Array(Tool)), async request => {
    const endpointId = await endpointWithTools(request.query.endpointId)
    if (endpointId === undefined)
      throw new BadQueryError('no session is open, so no endpoint is known: name one with endpointId')
    return await gateway.tools(endpointId)
  })

  app.get(
    '/api/mcp/proxies',
    {
      schema: {
        tags,
        summary: 'The proxies that write to the store; a lost one for 24 hours',
        response: responses({ 200: Type.Array(ProxyInfo) })
      }
    },
    () => monitor.proxies()
  )

  app.get(
    '/api/mcp/connections/count',
    ofEndpoint('How many sessions are open now', ActiveCount),
    async request => {
      const { openNum } = await monitor.totals(endpointFilter(request.query.endpointId))
      return { activeConnections: openNum, timestamp: monitor.time() }
    }
  )

  app.get(
    '/api/mcp/principals',
    {
      schema: {
        tags,
        summary:
          'On whose behalf sessions are used, the busiest first, a page at a time; the next one is in the Link header',
        querystring: PrincipalsParameters,
        response: responses({ 200: Type.Array(PrincipalInfo) })
      }
    },
    async (request, reply) => {
      const { endpointId, limit = DEFAULT_LIMIT, cursor } = request.query
      const { principals, last } = await monitor.principals(endpointFilter(endpointId), limit, cursor)
      if (last) reply.header('link', `<${nextPage(request, encodePrincipalCursor(last))}>; rel="next"`)
      return principals
    }
  )

  function* infosOf(rows: readonly SessionRow[]) {
    for (let i = 0; i < rows.length; i += CHUNK_ROWS)
      yield rows.slice(i, i + CHUNK_ROWS).map(row => monitor.info(row))
  }

  type StatsRequest = Narrowing & { endpointId?: string; limit?: number; cursor?: Position }
  /** A page of open sessions, of any size, a chunk at a time. */
  async function sendStats(request: FastifyRequest, asked: StatsRequest, reply: FastifyReply) {
    const { endpointId, limit = DEFAULT_LIMIT, cursor } = asked
    const filter = endpointFilter(endpointId, asked)
    const { rows, last, totals, open } = await monitor.openAndTotals(filter, limit, cursor)
    if (last) reply.header('link', `<${nextPage(request, encodeCursor(last))}>; rel="next"`)
    const people = `"activePrincipals":${open.principalNum},"activeConversations":${open.conversationNum}`
    const counts = `"activeConnections":${totals.openNum},${people},"totalConnections":${totals.openedNum}`
    return sendJson(reply, infosOf(rows), [
      `{${counts},"connections":`,
      `,"lastUpdated":"${monitor.time()}"}`
    ])
  }
  for (const url of ['/api/mcp/connections', '/internal/connections']) {
    const schema = {
      tags,
      summary: 'Open sessions, newest first, a page at a time; the next one is in the Link header',
      querystring: StatsParameters,
      response: responses({ 200: ConnectionStats })
    }
    app.get(url, { schema }, (request, reply) => sendStats(request, request.query, reply))
  }

  app.get(
    '/api/mcp/connections/:sessionId',
    {
      schema: {
        tags,
        summary: 'An open session',
        params: SessionPath,
        querystring: EndpointParameters,
        response: responses({ 200: ConnectionInfo, 404: ConnectionNotFound })
      }
    },
    async (request, reply) => {
      const { sessionId } = request.params
      const [row] = await monitor.find(sessionId, endpointFilter(request.query.endpointId))
      return row
        ? monitor.info(row)
        : reply.code(404).send({ error: 'Connection not found' as const, sessionId })
    }
  )
  done()
}
