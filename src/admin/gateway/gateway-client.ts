// Owns what the admin port asks of the gateway itself: whether it answers, and an endpoint's tools.
import type { WireId } from '../../mcp/stored-ids.js'
import { ExpiringCache } from '../../util/expiring-cache.js'
import { GatewayError } from '../schemas/admin-errors.js'
import type { Tool } from '../schemas/monitoring-responses.js'
import type { EndpointUrls } from './tool-list.js'

// Chosen, not measured: people wait for the response, and however many ask, the gateway hardly notices.
const ANSWER_TIMEOUT_MS = 2_000
const ANSWER_KEPT_MS = 1_000
const TOOLS_TIMEOUT_MS = 5_000
const TOOLS_KEPT_MS = 10_000
/** Endpoints whose tools are kept at once: bounds the memory. */
const MAX_ENDPOINTS_KEPT = 100

/** The gateway at a URL. It is asked at most once in a while, however many ask the admin port. */
export class GatewayClient {
  readonly #url: URL
  readonly #urlsOf: (endpointId: WireId) => EndpointUrls
  readonly #reachable = new ExpiringCache<boolean>(ANSWER_KEPT_MS, 1)
  readonly #tools = new ExpiringCache<Tool[]>(TOOLS_KEPT_MS, MAX_ENDPOINTS_KEPT)

  /** `urlsOf` may throw, for an id that no URL leads to. */
  constructor(url: URL, urlsOf: (endpointId: WireId) => EndpointUrls) {
    this.#url = url
    this.#urlsOf = urlsOf
  }

  /** Whether the gateway answers HTTP at all, with whatever status. */
  isReachable(): Promise<boolean> {
    return this.#reachable.get(this.#url.href, async () => {
      try {
        const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
        const response = await fetch(this.#url, { redirect: 'manual', signal })
        await response.body?.cancel()
        return true
      } catch {
        return false
      }
    })
  }

  /** The tools of an endpoint. Rejects with `GatewayError`, and with what `urlsOf` throws. */
  tools(endpointId: WireId): Promise<Tool[]> {
    return this.#tools.get(endpointId, async () => {
      const urls = this.#urlsOf(endpointId)
      const signal = AbortSignal.timeout(TOOLS_TIMEOUT_MS)
      try {
        // Loaded when it is asked for: an MCP client takes as long to start and as much memory as all the rest.
        const { toolsOf } = await import('./tool-list.js')
        return await toolsOf(urls, signal)
      } catch (error) {
        const reason = signal.aborted ? `no answer within ${TOOLS_TIMEOUT_MS} ms` : String(error)
        throw new GatewayError(`the gateway does not tell the tools of this endpoint: ${reason}`)
      }
    })
  }
}
