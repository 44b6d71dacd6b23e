// Owns what operators can do: end a session, all of an endpoint's, and let no new ones in.
import type { FastifyPluginCallback, RawServerDefault } from 'fastify'
import Type from 'typebox'
import type { SessionRow, StoreReader } from '../../ledger/store-port.js'
import { storedId } from '../../mcp/stored-ids.js'
import { bearerToken, type TokenGate } from '../access/tokens.js'
import type { Monitor } from '../monitor.js'
import type { Audit, Control } from '../operator-port.js'
import { ofEndpoint } from '../paging/pages.js'
import { ActionError } from '../schemas/admin-errors.js'
import {
  Access,
  ConnectionNotFound,
  Drain,
  Endpoint,
  EndpointEnded,
  SessionEnded
} from '../schemas/monitoring-schemas.js'
import { answers, EndpointQuery, OneEndpoint, SessionParams } from '../schemas/query-schemas.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'

const MAX_FAILURES_TOLD = 100
/** Sessions ended at the same time. */
const AT_ONCE = 16

export interface ActionRoutesOptions {
  store: StoreReader
  monitor: Monitor
  control: Control
  gate: TokenGate
  audit: Audit
}

const tags = ['actions']
const config = { scope: 'write' } as const
const timestamp = () => new Date().toISOString()

export const actionRoutes: FastifyPluginCallback<
  ActionRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { store, monitor, control, gate, audit }, done) => {
  app.delete(
    '/api/mcp/connections/:sessionId',
    {
      config,
      schema: {
        tags,
        summary: 'Ends a session, on every endpoint that has one of this id or on the one named',
        params: SessionParams,
        querystring: EndpointQuery,
        response: answers({ 200: SessionEnded, 404: ConnectionNotFound })
      }
    },
    async (request, reply) => {
      const { sessionId } = request.params
      const rows = await monitor.find(sessionId, ofEndpoint(request.query.endpointId) ?? { endpointId: '' })
      if (rows.length === 0)
        return reply.code(404).send({ error: 'Connection not found' as const, sessionId })
      for (const row of rows) {
        await control.end(row)
        audit(request, 'end session', { sessionId: row.sessionId, endpointId: row.endpointId })
      }
      await control.settled()
      return { status: 'ended' as const, sessionId, timestamp: timestamp() }
    }
  )

  app.delete(
    '/api/mcp/connections',
    {
      config,
      schema: {
        tags,
        summary: 'Ends all sessions of an endpoint',
        querystring: OneEndpoint,
        response: answers({ 200: EndpointEnded })
      }
    },
    async request => {
      const { endpointId } = request.query
      const left = await monitor.open({ endpointId: storedId(endpointId)! }, Infinity)
      const failed: { sessionId: string; message: string }[] = []
      let ended = 0
      const endNext = async (): Promise<void> => {
        for (let row = left.pop(); row; row = left.pop()) {
          const message = await tryToEnd(control, row)
          if (message === undefined) ended++
          else if (failed.length < MAX_FAILURES_TOLD)
            failed.push({ sessionId: monitor.mask.sessionId(row.sessionId), message })
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, endNext))
      await control.settled()
      audit(request, 'end sessions of endpoint', { endpointId, ended, failed: failed.length })
      return { status: 'ended' as const, endpointId, ended, failed, timestamp: timestamp() }
    }
  )

  app.get(
    '/api/mcp/access',
    {
      schema: { tags, summary: 'What the token shown allows', response: answers({ 200: Access }) }
    },
    request => ({ scope: gate.scopeOf(bearerToken(request.headers.authorization)) })
  )

  app.get(
    '/api/mcp/endpoints',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'Every endpoint that ever had a session, or is drained',
        response: answers({ 200: Type.Array(Endpoint) })
      }
    },
    async () => {
      const counts = await store.counts({})
      const known = new Map(counts.map(({ endpointId, connectNum }) => [endpointId, connectNum]))
      const draining = await control.draining()
      for (const endpointId of draining) if (!known.has(endpointId)) known.set(endpointId, 0)
      return Array.from(known, ([endpointId, activeConnections]) => ({
        endpointId,
        activeConnections,
        draining: draining.has(endpointId)
      }))
    }
  )

  for (const method of ['PUT', 'DELETE'] as const) {
    const on = method === 'PUT'
    app.route({
      method,
      url: '/api/mcp/endpoints/:endpointId/drain',
      config,
      schema: {
        tags,
        summary: on ? 'Lets no new sessions of an endpoint in' : 'Lets new sessions of an endpoint in again',
        params: OneEndpoint,
        response: answers({ 200: Drain })
      },
      handler: async request => {
        const { endpointId } = request.params
        const stored = storedId(endpointId)!
        await control.drain(stored, on)
        audit(request, on ? 'drain endpoint' : 'undrain endpoint', { endpointId: stored })
        return {
          status: on ? ('draining' as const) : ('accepting' as const),
          endpointId,
          timestamp: timestamp()
        }
      }
    })
  }
  done()
}

/** Why it cannot be ended; undefined once it is. */
async function tryToEnd(control: Control, row: SessionRow): Promise<string | undefined> {
  try {
    await control.end(row)
    return undefined
  } catch (error) {
    if (error instanceof ActionError) return error.message
    throw error
  }
}
