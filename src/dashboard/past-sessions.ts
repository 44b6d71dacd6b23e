// Owns the sessions that were connected in a time range: read from the history, a page when it is looked at.
import type { ConnectionRow } from '../admin/schemas/query-responses.js'
import type { PageReader, QueryParameters } from './page-reader.js'
import { fromRow, newestFirst, type ListedSession } from './sessions.js'

/** Sessions read at a time. Chosen: the admin port's default for one page. */
const PAGE = 1_000
/** The most sessions that are read for one query; a narrower range shows older ones. Chosen: bounds the memory. */
const MAX_READ = 20_000

/** Which sessions are asked for; undefined: all. */
export interface PastQuery {
  /** Epoch ms. */
  start: number
  end: number
  endpointId: string | undefined
  transport: string | undefined
  upstream: string | undefined
  principal: string | undefined
  conversation: string | undefined
}

/** A query as parameters of the admin port. */
export const parametersOf = (query: PastQuery): QueryParameters => ({
  start_time: query.start,
  end_time: query.end,
  endpoint_id: query.endpointId,
  transport: query.transport,
  upstream: query.upstream,
  principal: query.principal,
  conversation: query.conversation
})

/** The sessions of one query, as far as they were read. */
export class PastSessions {
  readonly #api: PageReader
  #sessions = new Map<string, ListedSession>()
  #next: { path: string; query: PastQuery | undefined } | undefined
  #reading: Promise<void> | undefined
  #turn = 0
  /** What was seen live while a page is read: newer than what the page says. */
  #meanwhile: ListedSession[] = []

  constructor(api: PageReader) {
    this.#api = api
  }

  /** Whether there is another page to read. */
  get hasMore(): boolean {
    return this.#next !== undefined && !this.isCut
  }

  /** Whether no more are read because there are too many. */
  get isCut(): boolean {
    return this.#sessions.size >= MAX_READ
  }

  /** Newest first, as far as they were read. */
  list(): ListedSession[] {
    return [...this.#sessions.values()].sort(newestFirst)
  }

  /** Reads the first page of a query; what was listed stays until it is there. Returns false if another query began meanwhile. */
  async load(query: PastQuery): Promise<boolean> {
    const turn = ++this.#turn
    await this.#reading?.catch(() => undefined)
    if (turn !== this.#turn) return false
    this.#next = { path: '/api/connections/endpoint', query }
    await this.more()
    return turn === this.#turn
  }

  /** Lists nothing until another query is read. */
  clear(): void {
    this.#turn++
    this.#sessions = new Map()
    this.#next = undefined
  }

  /** Reads one more page. */
  more(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  /** A session as it is now, seen live. */
  note(session: ListedSession): void {
    if (this.#reading) this.#meanwhile.push(session)
    this.#set(session)
  }

  #set(session: ListedSession): void {
    if (!this.isCut || this.#sessions.has(session.key)) this.#sessions.set(session.key, session)
  }

  /** The session with this `listKey`; undefined if it was not read. */
  get(key: string): ListedSession | undefined {
    return this.#sessions.get(key)
  }

  async #read(): Promise<void> {
    if (!this.#next) return
    const turn = this.#turn
    this.#meanwhile = []
    const { path, query } = this.#next
    const parameters = query ? { ...parametersOf(query), limit: PAGE } : {}
    const { body, next } = await this.#api.page<ConnectionRow[]>(path, parameters)
    if (turn !== this.#turn) return
    if (query) this.#sessions = new Map()
    for (const session of [...body.map(fromRow), ...this.#meanwhile]) this.#set(session)
    this.#next = next === undefined ? undefined : { path: next, query: undefined }
  }
}
