// Owns one gateway as the proxy uses it: its URL, its connection pool, its state, and what is under way there.
import type { Log } from '../../util/log.js'
import { OutageLog } from '../../util/outage-log.js'
import { type EpochMs, epochNow } from '../../util/time.js'
import { basePathOf } from '../http/request-target.js'
import { UpstreamUrls } from '../http/upstream-urls.js'
import { ConnectionPool } from '../upstream/connection-pool.js'
import { DelayedAckDetector } from '../upstream/delayed-acks.js'
import type { Acknowledge } from '../upstream/quick-acks.js'
import type { SerialUpstreamDetector } from '../upstream/serial-upstream.js'
import type { UpstreamFacts } from './choose-upstream.js'

const delayedAckAdvice =
  'The upstream holds the second part of a response back until the first is acknowledged (Nagle), 40 ms, on a connection ' +
  'just used (tokio-rs/axum#2521). The proxy lets its connections rest. To end this for all clients, serve without Nagle: ' +
  'axum::serve(listener.tap_io(|tcp| { tcp.set_nodelay(true).ok(); }), app)'

/** What a gateway is called, and where it is. */
export interface NamedUrl {
  name: string
  url: URL
}

/** How gateways are connected to; the same for all. */
export interface UpstreamSettings {
  /** Send the upstream's authority as `Host` instead of the client's. */
  rewriteHost: boolean
  connectTimeoutMs: number
  /** For the head of a response, in milliseconds; 0 is for ever. There is no limit on bodies and streams. */
  upstreamTimeoutMs: number
  /** For how long an idle connection is used where the upstream names no time; 0: not at all. */
  upstreamKeepAliveMs: number
  /** Ends delayed acknowledgements; undefined: the platform cannot. */
  acknowledge?: Acknowledge | undefined
}

/** Counts and states are kept up to date by whoever uses it. */
export class Upstream implements UpstreamFacts {
  readonly name: string
  readonly url: URL
  readonly pool: ConnectionPool
  /** Finds out whether it holds the second part of its responses back (Nagle); not needed where `acknowledge` ends that. */
  readonly delayedAcks: DelayedAckDetector | undefined
  /** Goes before the path of each request. */
  readonly basePath: string
  /** Sent as `Host` in place of the client's; undefined: the client's. */
  readonly rewrittenHost: string | undefined
  /** Undefined where the upstream's URLs are the client's. */
  readonly urls: UpstreamUrls | undefined
  readonly #openSessions: (name: string) => number
  isListed = true
  /** When it was first seen to take no connections; undefined: it takes them, as far as is known. */
  failingSince: EpochMs | undefined
  /** Called when it is seen to take no connections, once until it takes them again. */
  onFailing: (() => void) | undefined
  readonly #outage: OutageLog
  isDraining = false
  opening = 0
  underWay = 0
  lastChoice = 0
  /** Of those, the ones that asked for a stream, and WebSockets. */
  streams = 0

  /** `openSessions`: as in `UpstreamFacts`. */
  constructor(
    { name, url }: NamedUrl,
    settings: UpstreamSettings,
    openSessions: (name: string) => number,
    log: Log
  ) {
    const { rewriteHost, connectTimeoutMs, upstreamTimeoutMs, upstreamKeepAliveMs, acknowledge } = settings
    this.name = name
    this.url = url
    this.basePath = basePathOf(url)
    this.rewrittenHost = rewriteHost ? url.host : undefined
    this.urls = rewriteHost || this.basePath !== '' ? new UpstreamUrls(url, this.basePath) : undefined
    const delayedAcks = acknowledge
      ? undefined
      : new DelayedAckDetector(() => log.warn({ upstream: name }, delayedAckAdvice))
    this.delayedAcks = delayedAcks
    this.pool = new ConnectionPool({
      ...{ upstream: url, connectTimeoutMs, upstreamTimeoutMs, upstreamKeepAliveMs, acknowledge, delayedAcks }
    })
    this.#outage = new OutageLog(log, {
      failing: 'the gateway takes no connections',
      recovered: 'the gateway takes connections again'
    })
    this.#openSessions = openSessions
  }

  get openSessions(): number {
    return this.#openSessions(this.name)
  }

  get isUp(): boolean {
    return this.failingSince === undefined
  }

  /** A connection was refused, or did not come in time. */
  failed(): void {
    this.#outage.failed({ upstream: this.name })
    if (!this.isUp) return
    this.failingSince = epochNow()
    this.onFailing?.()
  }

  /** It took a connection. */
  recovered(): void {
    this.#outage.recovered({ upstream: this.name })
    this.failingSince = undefined
  }

  /** Learns of the connections for requests from now on. */
  set serialUpstream(detector: SerialUpstreamDetector) {
    this.pool.serialUpstream = detector
  }
}
