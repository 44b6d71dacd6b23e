// Owns reading sessions from the store page by page.
import type { SessionRow, SessionsQuery, StoreReader } from '../../ledger/store-port.js'
import type { Position } from '../schemas/cursor.js'
import { CHUNK_ROWS } from './streamed-response.js'

/** Reads one page: its rows in chunks, and the position of the last row when more follow. */
export async function readPage(
  store: StoreReader,
  query: SessionsQuery
): Promise<{ chunks: SessionRow[][]; last?: Position }> {
  const chunks: SessionRow[][] = []
  const reading = readAll(store, query)
  for (;;) {
    const { done, value } = await reading.next()
    if (!done) chunks.push(value)
    else return { chunks, ...(value && { last: value }) }
  }
}

/** Reads chunk by chunk, each when it is asked for; returns the position of the last row if the limit cut the rows short. */
export async function* readAll(
  store: StoreReader,
  query: SessionsQuery
): AsyncGenerator<SessionRow[], Position | undefined> {
  let after = query.after
  for (let left = query.limit; left > 0; left -= CHUNK_ROWS) {
    const length = Math.min(left, CHUNK_ROWS)
    const rows = await store.connections({ ...query, ...(after && { after }), limit: length + 1 })
    const chunk = rows.slice(0, length)
    if (chunk.length > 0) yield chunk
    if (rows.length === chunk.length) return undefined
    const { connectAt, id } = chunk.at(-1)!
    after = { connectAt, id }
  }
  return after
}
