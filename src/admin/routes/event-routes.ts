// Owns `/api/events`: openings, ends and reopenings of sessions, a page at a time or as a stream.
import type { FastifyPluginCallback, FastifyRequest, RawServerDefault } from 'fastify'
import type { StoredEvent } from '../../ledger/event-port.js'
import type { Mask } from '../access/mask.js'
import { endpointFilter } from '../endpoint-filter.js'
import { toCloudEvent } from '../events/cloud-event.js'
import type { EventReader, EventsAsked } from '../events/event-reader.js'
import { streamEvents } from '../events/event-stream.js'
import { CHUNK_ROWS, sendJson } from '../paging/streamed-response.js'
import { eventsOrStream } from '../schemas/event-responses.js'
import { responses } from '../schemas/fields.js'
import { EventsParameters } from '../schemas/parameters.js'
import type { DecodingTypeProvider } from '../schemas/validation.js'

/** How many events a page has if the request names no limit. Chosen. */
const DEFAULT_LIMIT = 1_000

/** What the route reads from. */
export interface EventRoutesOptions {
  reader: EventReader
  mask: Mask
}

/** `/api/events`. */
export const eventRoutes: FastifyPluginCallback<
  EventRoutesOptions,
  RawServerDefault,
  DecodingTypeProvider
> = (app, { reader, mask }, done) => {
  const view = (event: StoredEvent): object => toCloudEvent(event, mask)
  /** Of the requests that may wait. */
  const waiting = new Set<AbortController>()
  app.addHook('preClose', done => {
    for (const request of waiting) request.abort()
    done()
  })

  app.get(
    '/api/events',
    {
      schema: {
        tags: ['events'],
        summary: 'Openings, ends and reopenings of sessions, in the order in which they were committed',
        description:
          'CloudEvents 1.0. Each event comes once after its cursor, and none is left out. With `Accept: text/event-stream` they are ' +
          'streamed as they come: `limit` and `wait` have no meaning then, and the header field `Last-Event-ID` goes before `after`. ' +
          'A cursor after which events are not kept any more (--event-retention) is a 410.',
        querystring: EventsParameters,
        response: responses({ 200: eventsOrStream })
      }
    },
    async (request, reply) => {
      const { endpointId, types, limit = DEFAULT_LIMIT, wait = 0 } = request.query
      reply.header('vary', 'accept')
      const isStream =
        request.accepts().type(['application/json', 'text/event-stream']) === 'text/event-stream'
      const after = (isStream && lastEventId(request)) || request.query.after
      const filter = endpointFilter(endpointId)
      // No event can be of an endpoint that cannot be stored.
      const narrowed = filter === 'nothing' ? { kinds: [] } : { ...filter, ...(types && { kinds: types }) }
      const asked: EventsAsked = { ...narrowed, ...(after && { after }), limit }
      if (isStream && request.method === 'HEAD') return reply.type('text/event-stream').send('')
      const gone = new AbortController()
      waiting.add(gone)
      reply.raw.once('close', () => {
        waiting.delete(gone)
        gone.abort()
      })
      if (isStream) {
        await streamEvents(reply, { reader, asked, view, gone: gone.signal })
        return reply
      }
      const part = await reader.poll(asked, wait, gone.signal)
      return sendJson(reply, chunksOf(part.events, view), [
        '{"events":',
        `,"cursor":${JSON.stringify(part.position)}}`
      ])
    }
  )
  done()
}

function lastEventId({ headers }: FastifyRequest): string | undefined {
  const id = headers['last-event-id']
  return typeof id === 'string' && id !== '' ? id : undefined
}

function* chunksOf(events: readonly StoredEvent[], view: (event: StoredEvent) => object) {
  for (let i = 0; i < events.length; i += CHUNK_ROWS) yield events.slice(i, i + CHUNK_ROWS).map(view)
}
