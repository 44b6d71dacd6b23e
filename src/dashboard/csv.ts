// Owns downloading the sessions of the range as a file of CSV.
import type { Api } from './api.js'
import { el } from './dom.js'
import { parametersOf, type PastQuery } from './past-sessions.js'

/** Downloads what a query lists. Rejects as the query does. */
export async function downloadCsv(api: Api, query: PastQuery): Promise<void> {
  const url = URL.createObjectURL(await api.csv('/api/connections/endpoint', parametersOf(query)))
  const day = new Date(query.end).toISOString().slice(0, 10)
  el('a', { href: url, download: `mcp-sessions-${day}.csv` }).click()
  URL.revokeObjectURL(url)
}
