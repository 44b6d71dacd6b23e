// Owns for which Host and from which Origin requests are accepted: a web page that reaches the proxy by DNS rebinding can
// forge neither.
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { RefusedRequest } from '../http/proxy-errors.js'
import type { RoutedRequest } from '../http/routed-request.js'

/** Which names are accepted. */
export interface AllowedNames {
  /** Values of `Host`: names, or names with a port, in lower case. Undefined: any. */
  allowedHost: readonly string[] | undefined
  /** Values of `Origin`, in lower case, as browsers write them (RFC 6454 §6.2). Undefined: any. */
  allowedOrigin: readonly string[] | undefined
}

/**
 * Throws `RefusedRequest` if the request is for a `Host`, or from an `Origin`, that is not allowed. One without `Origin` does
 * not come from a web page.
 */
export function refuseStranger(request: RoutedRequest, { allowedHost, allowedOrigin }: AllowedNames): void {
  const { headers } = request.req
  if (allowedHost !== undefined) {
    const host = (request.target.authority ?? headers.host ?? '').toLowerCase()
    if (!allowedHost.includes(host) && !allowedHost.includes(host.replace(/:\d*$/, '')))
      throw new RefusedRequest('The Host is not one of --allowed-host', 403, 'host')
  }
  const { origin } = headers
  if (allowedOrigin !== undefined && origin !== undefined && !allowedOrigin.includes(origin.toLowerCase()))
    throw new RefusedRequest('The Origin is not one of --allowed-origin', 403, 'origin')
}

/** Logs once, when the upstream seems to refuse the `Host` of clients, what can be done about it. */
export class HostRefusals {
  readonly #isUpstreamHost: (host: string | undefined) => boolean
  readonly #logger: FastifyBaseLogger
  #isLogged = false

  /** `isUpstreamHost`: whether the upstream surely accepts this `Host`. */
  constructor(isUpstreamHost: (host: string | undefined) => boolean, logger: FastifyBaseLogger) {
    this.#isUpstreamHost = isUpstreamHost
    this.#logger = logger
  }

  /** A request whose `Host` was passed on as it came got a response with `status`. */
  responded({ headers: { host } }: IncomingMessage, status: number): void {
    if ((status !== 403 && status !== 421) || this.#isLogged || this.#isUpstreamHost(host)) return
    this.#isLogged = true
    this.#logger.warn(
      { status, host },
      'the gateway refused a request; if the reason is its Host, let the gateway allow that name, or set --rewrite-host'
    )
  }
}
