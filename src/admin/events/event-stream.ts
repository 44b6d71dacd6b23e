// Owns events as a stream of server-sent events (HTML Living Standard, "Server-sent events"), sent as fast as the client reads.
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import type { EventsPart, StoredEvent } from '../../ledger/event-port.js'
import { SECOND_MS } from '../../util/time.js'
import { AdminError } from '../schemas/admin-errors.js'
import type { EventReader, EventsAsked } from './event-reader.js'

/** After so long without events something is sent, so that nobody on the way takes the stream for dead. Chosen. */
const KEEP_ALIVE_MS = 15 * SECOND_MS
/** A client that takes nothing for so long is cut. Chosen, as for live monitoring. */
const STALLED_MS = 10 * SECOND_MS
/** Events that are written at once. Chosen: about 150 kB of memory for a client that does not read. */
const EVENTS_AT_ONCE = 200
/** Before the store is asked again that failed. Chosen. */
const RETRY_MS = SECOND_MS
/** A comment. */
const NOTHING = ':\n\n'

/** What a stream is made of. */
export interface EventStream {
  reader: EventReader
  asked: Omit<EventsAsked, 'limit'>
  /** The JSON of an event. */
  view: (event: StoredEvent) => object
  /** Aborted when the client leaves or the server closes. */
  gone: AbortSignal
  /** How long a client may take nothing, in milliseconds; for tests. */
  stalledMs?: number
}

/**
 * Streams events until the client leaves or does not read, the server closes, or the client's place expires. A failure before
 * the first event is thrown, as `EventReader.read` and `follow` do; then nothing is sent.
 */
export async function streamEvents(reply: FastifyReply, stream: EventStream): Promise<void> {
  const { reader } = stream
  const leave = reader.follow()
  try {
    const first = await reader.read({ ...stream.asked, limit: EVENTS_AT_ONCE })
    reply.hijack()
    reply.headers({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders)
    await send(reply.raw, first, stream)
  } finally {
    leave()
  }
}

async function send(
  raw: ServerResponse,
  first: EventsPart,
  { reader, asked, view, gone, stalledMs = STALLED_MS }: EventStream
): Promise<void> {
  let part: EventsPart | undefined = first
  // So that a client that reconnects before its first event does not begin anew.
  let told = first.start
  let text = `id: ${told}\n\n`
  while (part !== undefined) {
    for (const event of part.events) {
      text += `id: ${event.position}\ndata: ${JSON.stringify(view(event))}\n\n`
      told = event.position
    }
    if (!(await write(raw, text, stalledMs, gone))) return
    text = ''
    const { position, more }: EventsPart = part
    if (!more && !(await reader.changed(position, KEEP_ALIVE_MS, gone))) {
      // The place of the client moves on with the events that it did not ask for.
      text = told === position ? NOTHING : `id: ${position}\n\n`
      told = position
    }
    part = await next(reader, { ...asked, after: position, limit: EVENTS_AT_ONCE }, gone)
  }
  raw.end()
}

/** The next part; undefined where the stream ends: its place expired. While the store cannot be read, it is asked again. */
async function next(
  reader: EventReader,
  asked: EventsAsked,
  gone: AbortSignal
): Promise<EventsPart | undefined> {
  while (!gone.aborted) {
    try {
      return await reader.read(asked)
    } catch (error) {
      if (error instanceof AdminError) return undefined
      await sleep(RETRY_MS, undefined, { signal: gone }).catch(() => undefined)
    }
  }
  return undefined
}

/** Writes, and waits until the client has taken it. False: it does not, and is cut. */
async function write(
  raw: ServerResponse,
  text: string,
  stalledMs: number,
  gone: AbortSignal
): Promise<boolean> {
  if (text === '' || raw.write(text)) return true
  const isTaken = await new Promise<boolean>(resolve => {
    const end = (taken: boolean) => () => {
      clearTimeout(timer)
      raw.off('drain', drained)
      gone.removeEventListener('abort', left)
      resolve(taken)
    }
    const [drained, left] = [end(true), end(false)]
    const timer = setTimeout(left, stalledMs)
    raw.once('drain', drained)
    gone.addEventListener('abort', left)
  })
  if (!isTaken) raw.destroy()
  return isTaken
}
