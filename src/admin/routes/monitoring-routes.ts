// Owns the REST side of the monitoring interface.
import type { FastifyPluginCallback, FastifyReply, FastifyRequest, RawServerDefault } from 'fastify'
import Type, { type TSchema } from 'typebox'
import type { SessionRow } from '../../ledger/store-port.js'
import type { GatewayClient } from '../gateway/gateway-client.js'
import type { Monitor } from '../monitor.js'
import { nextPage } from '../paging/next-page.js'
import { ofEndpoint } from '../paging/pages.js'
import { CHUNK_ROWS, sendJson } from '../paging/streamed-response.js'
import { BadQueryError } from '../schemas/admin-errors.js'
import type { Position } from '../schemas/cursor.js'
import {
  ActiveCount,
  ConnectionInfo,
  ConnectionNotFound,
  ConnectionStats,
  Health,
  ProxyInfo,
  Status,
  Tool
} from '../schemas/monitoring-schemas.js'
import { answers, EndpointQuery, SessionParams, StatsQuery } from '../schemas/query-schemas.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'

/** Connections of one answer where no limit is given. */
const DEFAULT_LIMIT = 1_000

export interface MonitoringOptions {
  monitor: Monitor
  gateway: GatewayClient
  /** Whether what is observed reaches the store, and soon. */
  keepsUp: () => boolean | Promise<boolean>
  /** Ended sessions of a status answer. */
  historyLimit: number
  /** Settings that a status answer tells: no secrets. */
  settings: Record<string, unknown>
  /** Where clients connect to an endpoint; without one the pattern of it. */
  endpointUrl: (endpointId: string | undefined) => string
}

const tags = ['monitoring']
const nobody = { endpointId: '' }

export const monitoringRoutes: FastifyPluginCallback<
  MonitoringOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { monitor, gateway, keepsUp, historyLimit, settings, endpointUrl }, done) => {
  /** The endpoint asked for, or the one that a client joined last. */
  async function endpointWithTools(asked: string | undefined): Promise<string | undefined> {
    if (asked !== undefined) return asked
    const [newest] = await monitor.open({}, 1)
    return newest?.endpointId
  }

  async function knownTools(asked: string | undefined): Promise<Tool[]> {
    try {
      const endpointId = await endpointWithTools(asked)
      return endpointId === undefined ? [] : await gateway.tools(endpointId)
    } catch {
      return []
    }
  }

  const one = (summary: string, answer: TSchema) => ({
    schema: { tags, summary, querystring: EndpointQuery, response: answers({ 200: answer }) }
  })

  app.get('/api/mcp/status', one('The gateway, its tools and its sessions', Status), async request => {
    const { endpointId } = request.query
    const endpoint = ofEndpoint(endpointId) ?? nobody
    const [isRunning, tools, stats, history] = await Promise.all([
      gateway.answers(),
      knownTools(endpointId),
      monitor.stats(endpoint, DEFAULT_LIMIT),
      monitor.history(endpoint, historyLimit)
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
  })

  app.get(
    '/api/mcp/health',
    one('Whether the gateway answers and the ledger keeps up', Health),
    async request => {
      const { endpointId } = request.query
      const [serverRunning, tools, totals] = await Promise.all([
        gateway.answers(),
        knownTools(endpointId),
        monitor.totals(ofEndpoint(endpointId) ?? nobody).catch((error: unknown) => {
          request.log.error({ err: error }, 'the sessions for a health answer cannot be read')
          return undefined
        })
      ])
      return {
        healthy: serverRunning && totals !== undefined && (await keepsUp()),
        serverRunning,
        toolsCount: tools.length,
        endpoint: endpointUrl(endpointId),
        connections: { active: totals?.openNum ?? 0, total: totals?.openedNum ?? 0 },
        lastCheck: monitor.time()
      }
    }
  )

  app.get('/api/mcp/tools', one('The tools of an endpoint', Type.Array(Tool)), async request => {
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
        summary: 'The proxies of the store, those that were heard of within 24 hours',
        response: answers({ 200: Type.Array(ProxyInfo) })
      }
    },
    () => monitor.proxies()
  )

  app.get('/api/mcp/connections/count', one('How many sessions are open now', ActiveCount), async request => {
    const { openNum } = await monitor.totals(ofEndpoint(request.query.endpointId) ?? nobody)
    return { activeConnections: openNum, timestamp: monitor.time() }
  })

  function* infosOf(rows: readonly SessionRow[]) {
    for (let i = 0; i < rows.length; i += CHUNK_ROWS)
      yield rows.slice(i, i + CHUNK_ROWS).map(row => monitor.info(row))
  }

  type StatsRequest = { endpointId?: string; limit?: number; cursor?: Position }
  async function sendStats(request: FastifyRequest, asked: StatsRequest, reply: FastifyReply) {
    const { endpointId, limit = DEFAULT_LIMIT, cursor } = asked
    const endpoint = ofEndpoint(endpointId) ?? nobody
    const { rows, last, totals } = await monitor.openAndTotals(endpoint, limit, cursor)
    if (last) reply.header('link', `<${nextPage(request, last)}>; rel="next"`)
    const counts = `"activeConnections":${totals.openNum},"totalConnections":${totals.openedNum}`
    return sendJson(reply, infosOf(rows), [
      `{${counts},"connections":`,
      `,"lastUpdated":"${monitor.time()}"}`
    ])
  }
  for (const url of ['/api/mcp/connections', '/internal/connections']) {
    const schema = {
      tags,
      summary: 'Open sessions, newest first, a page at a time; the next one is in the Link header',
      querystring: StatsQuery,
      response: answers({ 200: ConnectionStats })
    }
    app.get(url, { schema }, (request, reply) => sendStats(request, request.query, reply))
  }

  app.get(
    '/api/mcp/connections/:sessionId',
    {
      schema: {
        tags,
        summary: 'An open session',
        params: SessionParams,
        querystring: EndpointQuery,
        response: answers({ 200: ConnectionInfo, 404: ConnectionNotFound })
      }
    },
    async (request, reply) => {
      const { sessionId } = request.params
      const [row] = await monitor.find(sessionId, ofEndpoint(request.query.endpointId) ?? nobody)
      return row
        ? monitor.info(row)
        : reply.code(404).send({ error: 'Connection not found' as const, sessionId })
    }
  )
  done()
}
