// Owns a consumer of events that may be killed at any moment: what it has seen, and its cursor, are in one file.
// node event-consumer.js FILE SEED ADMIN-URL…
//
// A line is an event: `cursor id type subject`. Of a page only the last line has the cursor, the others have `-`; what comes
// after the last cursor was not written whole, and is cut off at the start.
import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import type { EventsPage, SessionCloudEvent } from '../../src/admin/schemas/event-responses.js'
import { Random } from '../support/random.js'

/** Few, so that a page ends anywhere. */
const MAX_EVENTS = 20
const RETRY_MS = 100
/** Shorter than a stream that lives on: so it changes from one proxy to another. */
const MAX_STREAM_MS = 2_000
const TIMEOUT_MS = 5_000

const [file = '', seed = '', ...adminUrls] = process.argv.slice(2)
const random = new Random(Number(seed))
let cursor = resume()

for (;;) {
  try {
    await (random.chance(0.5) ? page() : stream())
  } catch {
    // A proxy is down, or frozen.
    await sleep(RETRY_MS)
  }
}

/** The cursor of what was written whole. */
function resume(): string | undefined {
  const lines = readFileSync(file, 'utf8').split('\n')
  // What comes after the last line end is not whole.
  lines.pop()
  while (lines.at(-1)?.startsWith('- ')) lines.pop()
  truncateSync(
    file,
    lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
  )
  return lines.at(-1)?.split(' ', 1)[0]
}

function write(events: readonly SessionCloudEvent[], next: string): void {
  const lines = events.map(
    ({ id, type, subject }, i) => `${i === events.length - 1 ? next : '-'} ${id} ${type} ${subject}\n`
  )
  appendFileSync(file, lines.join(''))
  cursor = next
}

async function page(): Promise<void> {
  const query = new URLSearchParams({
    limit: String(random.int(1, MAX_EVENTS)),
    wait: '1s',
    ...(cursor && { after: cursor })
  })
  const response = await fetch(`${random.pick(adminUrls)}/api/events?${query.toString()}`, {
    signal: AbortSignal.timeout(TIMEOUT_MS)
  })
  if (response.status === 410) process.exit(3)
  if (!response.ok) throw new Error(String(response.status))
  const { events, cursor: next } = (await response.json()) as EventsPage
  if (events.length > 0) write(events, next)
}

async function stream(): Promise<void> {
  const response = await fetch(`${random.pick(adminUrls)}/api/events`, {
    headers: { accept: 'text/event-stream', ...(cursor && { 'last-event-id': cursor }) },
    signal: AbortSignal.timeout(random.int(1, MAX_STREAM_MS))
  })
  if (response.status === 410) process.exit(3)
  if (!response.ok) throw new Error(String(response.status))
  const parser = createParser({
    onEvent: ({ id = '', data }) => write([JSON.parse(data) as SessionCloudEvent], id)
  })
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) parser.feed(text)
}
