// Owns who may ask the admin port: bearer tokens compared in constant time, and a rate limit for wrong ones.
import { createHash, timingSafeEqual } from 'node:crypto'
import { SCOPES, type Scope, type Token } from '../../config/admin-token.js'
import { networkOf } from '../../util/ipv6.js'
import { type MonotonicMs, MINUTE_MS } from '../../util/time.js'
import { ForbiddenError, TooManyTriesError, UnauthorizedError } from '../schemas/admin-errors.js'

interface KnownToken {
  digest: Buffer
  scope: Scope
}

const allow = (tokens: readonly KnownToken[], wanted: Scope): boolean =>
  tokens.some(({ scope }) => SCOPES.indexOf(scope) >= SCOPES.indexOf(wanted))

const known = (tokens: readonly Token[]): KnownToken[] =>
  tokens.map(({ secret, scope }) => ({ digest: digest(secret), scope }))

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Checks tokens. It keeps only their digests, and no other part of the admin port gets the tokens. */
export class TokenGate {
  #tokens: KnownToken[]
  readonly #failures: FailedTries

  /** Without tokens everyone may do everything. */
  constructor(tokens: readonly Token[], now: () => MonotonicMs) {
    this.#tokens = known(tokens)
    this.#failures = new FailedTries(now)
  }

  /** Other tokens count from now on; a gate that has some never opens, and one that has none stays so. */
  set tokens(tokens: readonly Token[]) {
    if (!this.isOpen && tokens.length > 0) this.#tokens = known(tokens)
  }

  /** Whether no token is set. */
  get isOpen(): boolean {
    return this.#tokens.length === 0
  }

  /**
   * Returns a name for the log of whoever sent `secret`. Throws `UnauthorizedError`, `ForbiddenError` where the token does not allow
   * `scope`, and `TooManyTriesError`. The time this takes tells nothing of the tokens.
   */
  admit(secret: string | undefined, scope: Scope, peer: string): string {
    if (this.isOpen) return 'anyone'
    if (!secret) throw new UnauthorizedError()
    const retryAfterMs = this.#failures.blockedMs(peer)
    if (retryAfterMs > 0) throw new TooManyTriesError(retryAfterMs)
    const given = digest(secret)
    const found = this.#matching(given)
    if (found.length === 0) {
      this.#failures.note(peer)
      throw new UnauthorizedError()
    }
    if (!allow(found, scope)) throw new ForbiddenError()
    return `token ${given.toString('hex', 0, 4)}`
  }

  /** Whether a token still allows to read. */
  mayRead(secret: string | undefined): boolean {
    return this.isOpen || (secret !== undefined && allow(this.#matching(digest(secret)), 'read'))
  }

  /** The scope of a token that was admitted to read. */
  scopeOf(secret: string | undefined): Exclude<Scope, 'metrics'> {
    return this.isOpen || (secret && allow(this.#matching(digest(secret)), 'write')) ? 'write' : 'read'
  }

  #matching(given: Buffer): KnownToken[] {
    return this.#tokens.filter(token => timingSafeEqual(token.digest, given))
  }
}

/** The token of an `Authorization: Bearer` header. */
export const bearerToken = (authorization: string | undefined): string | undefined =>
  /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]

/** Wrong tokens within `WINDOW_MS`. Chosen: people mistype a few times, and guessing five random letters takes about a year. */
const MAX_FAILURES = 10
const WINDOW_MS = MINUTE_MS
/** Chosen: bounds the memory to about a megabyte. */
const MAX_PEERS = 10_000

/** Wrong tokens by peer: after ten within a minute the peer is refused until that minute is over. */
class FailedTries {
  /** Oldest first; of more peers than fit the oldest is forgotten. */
  readonly #peers = new Map<string, { count: number; until: MonotonicMs }>()
  readonly #now: () => MonotonicMs

  constructor(now: () => MonotonicMs) {
    this.#now = now
  }

  blockedMs(peer: string): number {
    const tries = this.#peers.get(networkOf(peer))
    return tries && tries.count >= MAX_FAILURES ? Math.max(0, tries.until - this.#now()) : 0
  }

  note(peer: string): void {
    const network = networkOf(peer)
    const tries = this.#peers.get(network)
    if (tries && tries.until > this.#now()) {
      tries.count++
      return
    }
    this.#peers.delete(network)
    this.#peers.set(network, { count: 1, until: this.#now() + WINDOW_MS })
    if (this.#peers.size > MAX_PEERS) this.#peers.delete(this.#peers.keys().next().value!)
  }
}
