// Owns on whose behalf a request is sent, as its header fields say: a field of a trusted proxy, a JWT, or another credential.
// Nothing is verified here: only what the upstream accepted is accounted.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { fingerprinted, type Principal, storedName } from '../../mcp/principal.js'
import { utf8IfValid } from '../../util/utf8.js'
import { CredentialCache } from './credential-cache.js'
import { text } from './headers.js'
import { claimIn, jwtClaims } from './jwt-claims.js'

/** How principals are told. */
export interface PrincipalSettings {
  /** `plain`: by their names; `hashed`: by fingerprints; `off`: not at all. */
  principals: 'plain' | 'hashed' | 'off'
  /** The field in which trusted proxies name the principal, in lower case. */
  principalHeader: string | undefined
  /** The claim that names the principal, in place of `iss` and `sub`. */
  principalClaim: string | undefined
  /** The field of API keys, in lower case. */
  apiKeyHeader: string
}

/** Schemes of `Authorization` whose credentials are the whole rest of the field, as it is sent each time. */
const WHOLE = /^(?:basic|bearer|dpop) +/i
/** Of other schemes, which sign each request: who signs (AWS Signature Version 4, RFC 7616 §3.4, RFC 9421 §2.3). */
const SIGNER = /[ ,](?:credential|username|keyid|id) *= *"?([^",/]+)/i
const TOKEN = /^(?:bearer|dpop) +/i

/** Tells principals, and remembers those of the credentials that were seen last. */
export class Principals {
  readonly #settings: PrincipalSettings
  /** Fields beside `Authorization` that say who sends a request. */
  readonly #identityFields: readonly string[]
  readonly #named = new CredentialCache(name => this.#byName('header', name))
  readonly #authorized = new CredentialCache(authorization => this.#byAuthorization(authorization))
  readonly #keyed = new CredentialCache(key => fingerprinted('key', key))

  constructor(settings: PrincipalSettings) {
    this.#settings = settings
    const { apiKeyHeader, principalHeader } = settings
    this.#identityFields = [apiKeyHeader, ...(principalHeader === undefined ? [] : [principalHeader])]
  }

  /** The fields beside `Authorization` by which the upstream may know who sent a request; undefined where it has none. */
  identityIn({ headers }: IncomingMessage): Record<string, string> | undefined {
    let identity: Record<string, string> | undefined
    for (const name of this.#identityFields) {
      const value = text(headers[name])
      if (value && !isHopByHop(headers, name)) (identity ??= {})[name] = value
    }
    return identity
  }

  /** The principal of a request, if it has one; `fromTrusted`: a trusted proxy sent it. */
  of(req: IncomingMessage, fromTrusted: () => boolean): Principal | undefined {
    const { principals, principalHeader, apiKeyHeader } = this.#settings
    if (principals === 'off') return undefined
    const { headers } = req
    const name = principalHeader === undefined ? undefined : lastValue(req, principalHeader)
    if (name && fromTrusted()) return this.#named.of(name)
    if (headers.authorization) return this.#authorized.of(headers.authorization)
    const key = text(headers[apiKeyHeader])
    // A field that `Connection` names does not reach the upstream.
    return key && !isHopByHop(headers, apiKeyHeader) ? this.#keyed.of(key) : undefined
  }

  #byAuthorization(authorization: string): Principal {
    const token = authorization.replace(TOKEN, '').trim()
    const claims = token.length < authorization.length ? jwtClaims(token) : undefined
    const name = claims && this.#nameIn(claims)
    if (claims !== undefined && name !== undefined) {
      const oauthClient = claimIn(claims, 'client_id') ?? claimIn(claims, 'azp')
      const principal = this.#byName('oauth', name)
      return oauthClient === undefined ? principal : { ...principal, oauthClient: storedName(oauthClient) }
    }
    const signer = WHOLE.test(authorization) ? undefined : SIGNER.exec(authorization)?.[1]
    return fingerprinted('key', signer?.trim() ?? token)
  }

  /** The issuer comes before the subject, and `#` between them, as Kubernetes names users of OpenID Connect. */
  #nameIn(claims: object): string | undefined {
    const { principalClaim } = this.#settings
    const named = principalClaim === undefined ? undefined : claimIn(claims, principalClaim)
    const [issuer, subject] = [claimIn(claims, 'iss'), claimIn(claims, 'sub')]
    return named ?? (subject !== undefined && issuer !== undefined ? `${issuer}#${subject}` : subject)
  }

  #byName(kind: 'header' | 'oauth', raw: string): Principal {
    const name = kind === 'header' ? utf8IfValid(raw) : raw
    return this.#settings.principals === 'hashed'
      ? fingerprinted(kind, name)
      : { kind, name: storedName(name) }
  }
}

/** The value that the nearest proxy wrote, if a client sent the field too. */
function lastValue(req: IncomingMessage, name: string): string | undefined {
  const joined = text(req.headers[name])
  return joined?.includes(', ') ? req.headersDistinct[name]?.at(-1) : joined
}

const isHopByHop = ({ connection }: IncomingHttpHeaders, name: string): boolean =>
  connection !== undefined &&
  connection
    .toLowerCase()
    .split(',')
    .some(named => named.trim() === name)
