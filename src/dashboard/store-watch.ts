// Owns finding out, without any session that comes or goes, whether the store can be read and written, and since when not.
import type { Readiness } from '../admin/schemas/readiness.js'
import { Api, ApiError } from './api.js'

/** How long the store may take to count before it is taken for away. Chosen: the proxy itself waits for it as long. */
const PATIENCE_MS = 4_000

/** What is known of the store. */
export interface StoreState {
  /** Queries work. */
  canRead: boolean
  /** What is observed gets there. */
  canWrite: boolean
  /** Since when one of both does not work, in epoch ms; undefined: both work. */
  since: number | undefined
  /** When it was last read, in epoch ms; undefined: not yet. */
  readAt: number | undefined
}

/** What is told of the store. */
export interface StoreWatchHandlers {
  /** Each time that it was looked at. */
  onState: (state: StoreState, readiness: Readiness) => void
  /** It can be read again. */
  onBack: () => void
}

/** Asks when it is told to. */
export class StoreWatch {
  readonly #api: Api
  readonly #handlers: StoreWatchHandlers
  #state: StoreState = { canRead: true, canWrite: true, since: undefined, readAt: undefined }

  constructor(api: Api, handlers: StoreWatchHandlers) {
    this.#api = api
    this.#handlers = handlers
  }

  /** As it was when it was last looked at. */
  get state(): StoreState {
    return this.#state
  }

  /** Looks at the store. Does nothing, or rejects, where the admin port itself cannot be reached: the live connection shows that. */
  async ask(): Promise<void> {
    const askedAt = Date.now()
    const failure: unknown = await this.#api.get('/api/mcp/connections/count', {}, PATIENCE_MS).then(
      () => undefined,
      (error: unknown) => error
    )
    const canRead = failure === undefined
    if (!canRead && !isOfStore(failure)) return
    // Asked last: the proxy, too, takes some seconds to find out that a store is silent.
    const readiness = await this.#api.readiness()
    const before = this.#state
    const { ok: canWrite, failingSince } = readiness.store
    const told = failingSince === null ? undefined : Date.parse(failingSince)
    this.#state = {
      canRead,
      canWrite,
      since: canRead && canWrite ? undefined : (told ?? before.since ?? askedAt),
      readAt: canRead ? Date.now() : before.readAt
    }
    this.#handlers.onState(this.#state, readiness)
    if (canRead && !before.canRead) this.#handlers.onBack()
  }
}

/** Whether a query failed because of the store, not of the way to it or of the token. */
const isOfStore = (error: unknown): boolean =>
  error instanceof ApiError
    ? error.status >= 500
    : error instanceof DOMException && error.name === 'TimeoutError'
