// Owns what operators can do: end a session, end all sessions of an endpoint or principal, erase a principal's name, delete an
// endpoint, and drain one (let no new sessions in).
import type { FastifyPluginCallback, FastifyRequest, RawServerDefault } from 'fastify'
import Type from 'typebox'
import type { EndpointDeletion, SessionRow, StoreReader } from '../../ledger/store-port.js'
import { storedName } from '../../mcp/principal.js'
import { storedEndpointId } from '../../mcp/stored-ids.js'
import { runAll } from '../../util/job-pool.js'
import { bearerToken, type TokenGate } from '../access/tokens.js'
import { endpointFilter } from '../endpoint-filter.js'
import type { Monitor } from '../monitor.js'
import type { Audit, Control } from '../operator-port.js'
import { ActionError, BadQueryError, UnknownEndpointError } from '../schemas/admin-errors.js'
import { responses } from '../schemas/fields.js'
import {
  ConnectionNotFound,
  DrainState,
  EndpointDeleted,
  EndpointInfo,
  PrincipalErased,
  SessionEnded,
  SessionsEnded,
  TokenAccess
} from '../schemas/monitoring-responses.js'
import {
  ENDPOINT_ID_EXPECTED,
  EndpointOrPrincipal,
  EndpointParameters,
  OneEndpoint,
  OnePrincipal,
  SessionPath
} from '../schemas/parameters.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'

/** How many failures a response lists. Chosen: the first ones show the cause. */
const MAX_FAILURES_LISTED = 100
/** Sessions ended at the same time. Chosen: each is a request to the gateway, which has others to serve. */
const MAX_CONCURRENT_ENDS = 16

/** What the routes of actions act on. */
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

/** Ending sessions, draining endpoints, and what a page needs to offer it: `/api/mcp/access` and `/api/mcp/endpoints`. */
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
        params: SessionPath,
        querystring: EndpointParameters,
        response: responses({ 200: SessionEnded, 404: ConnectionNotFound })
      }
    },
    async (request, reply) => {
      const { sessionId } = request.params
      const rows = await monitor.find(sessionId, endpointFilter(request.query.endpointId))
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
        summary: 'Ends all sessions of an endpoint, of a principal, or of a principal on an endpoint',
        querystring: EndpointOrPrincipal,
        response: responses({ 200: SessionsEnded })
      }
    },
    async request => {
      const { endpointId, principal } = request.query
      if (endpointId === undefined && principal === undefined)
        throw new BadQueryError(`endpointId is missing: give ${ENDPOINT_ID_EXPECTED}, or a principal`)
      const sessions = await monitor.open(endpointFilter(endpointId, request.query), Infinity)
      const failed: { sessionId: string; message: string }[] = []
      let ended = 0
      await runAll(sessions, MAX_CONCURRENT_ENDS, async row => {
        const message = await tryToEnd(control, row)
        if (message === undefined) ended++
        else if (failed.length < MAX_FAILURES_LISTED)
          failed.push({ sessionId: monitor.mask.sessionId(row.sessionId), message })
      })
      await control.settled()
      const asked = {
        ...(endpointId !== undefined && { endpointId }),
        ...(principal !== undefined && { principal })
      }
      const of = principal === undefined ? 'endpoint' : 'principal'
      audit(request, `end sessions of ${of}`, { ...asked, ended, failed: failed.length })
      return { status: 'ended' as const, ...asked, ended, failed, timestamp: timestamp() }
    }
  )

  const erasing = {
    tags,
    summary: 'Erases the name of a principal: a token takes its place in all sessions, and counts stay',
    response: responses({ 200: PrincipalErased })
  }
  const erase = async (request: FastifyRequest, principal: string): Promise<PrincipalErased> => {
    const { token, sessions } = await control.erasePrincipal(storedName(principal))
    audit(request, 'erase principal', { token, sessions })
    return { status: 'erased', token, sessions, timestamp: timestamp() }
  }
  app.delete(
    '/api/mcp/principals/:principal',
    { config, schema: { ...erasing, params: OnePrincipal } },
    request => erase(request, request.params.principal)
  )
  // For any name, as for endpoints below.
  app.delete('/api/mcp/principals', { config, schema: { ...erasing, querystring: OnePrincipal } }, request =>
    erase(request, request.query.principal)
  )

  app.get(
    '/api/mcp/access',
    {
      schema: { tags, summary: 'What the token shown allows', response: responses({ 200: TokenAccess }) }
    },
    request => ({ scope: gate.scopeOf(bearerToken(request.headers.authorization)) })
  )

  app.get(
    '/api/mcp/endpoints',
    {
      schema: {
        tags: ['monitoring'],
        summary: 'Every endpoint that ever had a session, or is drained',
        response: responses({ 200: Type.Array(EndpointInfo) })
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

  const deleteEndpoint = async (request: FastifyRequest, endpointId: string): Promise<EndpointDeleted> => {
    const stored = storedEndpointId(endpointId)!
    let outcome: EndpointDeletion
    do outcome = await control.deleteEndpoint(stored)
    while (outcome === 'more')
    if (outcome === 'unknown') throw new UnknownEndpointError()
    if (outcome === 'open')
      throw new ActionError(
        'NOT_POSSIBLE',
        'the endpoint has open sessions: end them first (DELETE /api/mcp/connections?endpointId=), or wait until they are idle'
      )
    audit(request, 'delete endpoint', { endpointId: stored })
    return { status: 'deleted', endpointId, timestamp: timestamp() }
  }
  const deletion = {
    tags,
    summary: 'Deletes an endpoint without open sessions: its ended sessions, counts and series',
    response: responses({ 200: EndpointDeleted })
  }
  app.delete(
    '/api/mcp/endpoints/:endpointId',
    { config, schema: { ...deletion, params: OneEndpoint } },
    request => deleteEndpoint(request, request.params.endpointId)
  )
  // For any id, as for drains.
  app.delete('/api/mcp/endpoints', { config, schema: { ...deletion, querystring: OneEndpoint } }, request =>
    deleteEndpoint(request, request.query.endpointId)
  )

  for (const method of ['PUT', 'DELETE'] as const) {
    const on = method === 'PUT'
    const schema = {
      tags,
      summary: on ? 'Lets no new sessions of an endpoint in' : 'Lets new sessions of an endpoint in again',
      response: responses({ 200: DrainState })
    }
    const drain = async (request: FastifyRequest, endpointId: string): Promise<DrainState> => {
      const stored = storedEndpointId(endpointId)!
      await control.drain(stored, on)
      audit(request, on ? 'drain endpoint' : 'undrain endpoint', { endpointId: stored })
      return { status: on ? 'draining' : 'accepting', endpointId, timestamp: timestamp() }
    }
    app.route({
      method,
      url: '/api/mcp/endpoints/:endpointId/drain',
      config,
      schema: { ...schema, params: OneEndpoint },
      handler: request => drain(request, request.params.endpointId)
    })
    // For any id: URLs are resolved without a segment . or .. (RFC 3986 §5.2.4).
    app.route({
      method,
      url: '/api/mcp/endpoints/drain',
      config,
      schema: { ...schema, querystring: OneEndpoint },
      handler: request => drain(request, request.query.endpointId)
    })
  }
  done()
}

/** Ends a session. Returns why it cannot be ended; undefined once it has ended. */
async function tryToEnd(control: Control, row: SessionRow): Promise<string | undefined> {
  try {
    await control.end(row)
    return undefined
  } catch (error) {
    if (error instanceof ActionError) return error.message
    throw error
  }
}
