// Owns for which Host and from which Origin requests are taken: what DNS rebinding cannot forge.
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { RefusedRequest } from '../http/proxy-errors.js'
import { originForm } from '../http/request-target.js'

export interface AllowedNames {
  /** Names, or names with a port, in lower case. Undefined: any. */
  allowedHost: readonly string[] | undefined
  /** As browsers write them (RFC 6454 §6.2). Undefined: any; requests without `Origin` come from no browser. */
  allowedOrigin: readonly string[] | undefined
}

/** Throws `RefusedRequest`. */
export function refuseStranger(req: IncomingMessage, { allowedHost, allowedOrigin }: AllowedNames): void {
  if (allowedHost !== undefined) {
    const host = (originForm(req).authority ?? req.headers.host ?? '').toLowerCase()
    if (!allowedHost.includes(host) && !allowedHost.includes(host.replace(/:\d*$/, '')))
      throw new RefusedRequest('The Host is not one of --allowed-host', 403, 'host')
  }
  const { origin } = req.headers
  if (allowedOrigin !== undefined && origin !== undefined && !allowedOrigin.includes(origin.toLowerCase()))
    throw new RefusedRequest('The Origin is not one of --allowed-origin', 403, 'origin')
}

/** Tells once when the upstream seems to refuse the clients' `Host`, and what to do. */
export class HostRefusals {
  readonly #upstreamHost: string | undefined
  readonly #logger: FastifyBaseLogger
  #told = false

  constructor(options: { upstream: URL; rewriteHost: boolean; logger: FastifyBaseLogger }) {
    this.#upstreamHost = options.rewriteHost ? undefined : options.upstream.host
    this.#logger = options.logger
  }

  answered({ headers: { host } }: IncomingMessage, status: number): void {
    if ((status !== 403 && status !== 421) || this.#told || this.#upstreamHost === undefined) return
    if (host === this.#upstreamHost) return
    this.#told = true
    this.#logger.warn(
      { status, host },
      'the upstream refused a request; if it is for its Host, let the upstream allow that name, or set --rewrite-host'
    )
  }
}
