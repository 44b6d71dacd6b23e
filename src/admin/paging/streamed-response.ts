// Owns streamed responses: JSON, NDJSON or CSV, sent a chunk at a time, as fast as the client reads.
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { stringify } from 'csv-stringify/sync'
import type { FastifyReply } from 'fastify'
import { JSON_TYPE } from '../schemas/media-types.js'

/** Rows read and made into text at once. Measured: it holds up the event loop for about 2 ms. */
export const CHUNK_ROWS = 500

/** Items as they are read: some at a time. */
export type Chunks<T> = Iterable<T[]> | AsyncIterable<T[]>

/** Sends a JSON array; `around`: the text before and after it. */
export function sendJson(reply: FastifyReply, chunks: Chunks<object>, around = ['', '']): FastifyReply {
  const [before = '', after = ''] = around
  const text = delimited(chunks, { first: `${before}[`, last: `]${after}` })
  return sendText(reply.type(JSON_TYPE), text)
}

/** The media types of an export, which has no limit of size. */
export type ExportType = 'text/csv' | 'application/x-ndjson'
/** All of them. */
export const exportTypes: readonly ExportType[] = ['text/csv', 'application/x-ndjson']

/** What Excel needs to read CSV as UTF-8. */
const BYTE_ORDER_MARK = '\ufeff'

/**
 * Sends items with the fields `columns`; their names are the first line of CSV, behind a byte order mark where one is asked for.
 */
export function sendExport(
  reply: FastifyReply,
  { type, bom }: { type: ExportType; bom: boolean },
  columns: readonly string[],
  chunks: Chunks<object>
): FastifyReply {
  const text = type === 'text/csv' ? csv(columns, chunks, bom ? BYTE_ORDER_MARK : '') : ndjson(chunks)
  return sendText(reply.type(`${type}; charset=utf-8`), text)
}

/** For HEAD only the header fields: Fastify would read all of the body and drop it. */
function sendText(reply: FastifyReply, text: AsyncIterable<string>): FastifyReply {
  return reply.send(Readable.from(reply.request.method === 'HEAD' ? [] : text))
}

/** Yields nothing before the first chunk is there, so that its error can still become an error response. */
async function* delimited(chunks: Chunks<object>, { first, last }: { first: string; last: string }) {
  let before = first
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue
    yield before + JSON.stringify(chunk).slice(1, -1)
    before = ','
    // A socket that takes everything would otherwise keep the event loop to itself.
    await setImmediate()
  }
  yield before === first ? first + last : last
}

async function* ndjson(chunks: Chunks<object>): AsyncGenerator<string> {
  for await (const chunk of chunks) {
    yield chunk.map(item => `${JSON.stringify(item)}\n`).join('')
    await setImmediate()
  }
}

/** csv-stringify escapes all other beginnings of a formula. */
const escapeLineFeed = (text: string): string => (text.startsWith('\n') ? `'${text}` : text)

/** RFC 4180. What a spreadsheet would take for a formula is made text, because clients choose their user agents. */
async function* csv(
  columns: readonly string[],
  chunks: Chunks<object>,
  before: string
): AsyncGenerator<string> {
  const options = {
    columns: [...columns],
    record_delimiter: 'windows' as const,
    escape_formulas: true,
    // It quotes a whole record delimiter only; other readers end a row at each half of it.
    quoted_match: /[\r\n]/,
    cast: { string: escapeLineFeed }
  }
  let header = true
  for await (const chunk of chunks) {
    yield (header ? before : '') + stringify(chunk, { ...options, header })
    header = false
    await setImmediate()
  }
  if (header) yield before + stringify([], { ...options, header })
}
