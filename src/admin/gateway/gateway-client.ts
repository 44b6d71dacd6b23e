// Owns what the admin port asks of the gateway by itself: whether it responds, and an endpoint's tools.
import type { WireId } from '../../mcp/stored-ids.js'
import { ExpiringCache } from '../../util/expiring-cache.js'
import { JobPool } from '../../util/job-pool.js'
import { BusyError, GatewayError } from '../schemas/admin-errors.js'
import type { Tool } from '../schemas/monitoring-responses.js'
import { type EndpointUrls, toolsOf } from './tool-list.js'

// Chosen, not measured: people wait for the response, and the gateway must get few requests however many people ask.
const RESPONSE_TIMEOUT_MS = 2_000
const RESPONSE_KEPT_MS = 1_000
const TOOLS_TIMEOUT_MS = 5_000
const TOOLS_KEPT_MS = 10_000
/** Endpoints whose tools are kept at once; no more are asked within that time. Chosen: bounds the memory. */
const MAX_ENDPOINTS_KEPT = 100
/** Sessions of our own at a time. Issue 16: the gateway has others to serve, whoever asks. */
const MAX_SESSIONS = 8

/** Asks the gateways. Responses are kept for a while, so that many who ask the admin port make few requests. */
export class GatewayClient {
  readonly #gateways: () => Promise<URL[]>
  readonly #urlsOf: (gateway: URL, endpointId: WireId) => EndpointUrls
  readonly #reachable = new ExpiringCache<boolean>(RESPONSE_KEPT_MS, 1)
  readonly #tools = new ExpiringCache<Tool[]>(TOOLS_KEPT_MS, MAX_ENDPOINTS_KEPT)
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #sessions = new JobPool(
    MAX_SESSIONS,
    () => this.#waiting.shift(),
    begin => begin()
  )

  /** `gateways`: the first one is asked for tools. `urlsOf` may throw, for an id that no URL leads to. */
  constructor(gateways: () => Promise<URL[]>, urlsOf: (gateway: URL, endpointId: WireId) => EndpointUrls) {
    this.#gateways = gateways
    this.#urlsOf = urlsOf
  }

  /** Whether a gateway responds at all, with whatever status. */
  isReachable(): Promise<boolean> {
    return this.#reachable.get('', async () => {
      const signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS)
      const ask = async (url: URL): Promise<true> => {
        const response = await fetch(url, { redirect: 'manual', signal })
        await response.body?.cancel()
        return true
      }
      try {
        return await Promise.any((await this.#gateways()).map(ask))
      } catch {
        return false
      }
    })
  }

  /**
   * The tools of an endpoint, which is asked once in 10 s at most. Rejects with `GatewayError`, with `BusyError` where too many
   * endpoints are asked, and with what `urlsOf` throws.
   */
  async tools(endpointId: WireId): Promise<Tool[]> {
    if (!this.#tools.hasRoomFor(endpointId))
      throw new BusyError('too many endpoints are asked for their tools at once', TOOLS_KEPT_MS)
    return await this.#tools.get(endpointId, async () => {
      const [gateway] = await this.#gateways()
      if (gateway === undefined) throw new GatewayError('there is no gateway')
      const urls = this.#urlsOf(gateway, endpointId)
      const signal = AbortSignal.timeout(TOOLS_TIMEOUT_MS)
      try {
        return await this.#inTurn(() => toolsOf(urls, signal))
      } catch (error) {
        const reason = signal.aborted ? `no answer within ${TOOLS_TIMEOUT_MS} ms` : String(error)
        throw new GatewayError(`the gateway does not tell the tools of this endpoint: ${reason}`)
      }
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => work().then(resolve, reject))
      this.#sessions.call()
    })
  }
}
