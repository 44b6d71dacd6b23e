// Owns what the admin thread is started with.
import type { WebhookTarget } from '../admin/webhooks/webhook-request.js'
import type { Token } from '../config/admin-token.js'
import type { OtlpSettings } from '../config/otlp-variables.js'
import type { Address, StoreLocation } from '../config/setting-kinds.js'
import type { RoutePatterns } from '../mcp/routes.js'
import type { TlsFiles } from '../util/tls-front.js'
import type { Startable } from './instance-methods.js'

/** The settings of the admin thread, and what it must know of the proxy: plain data that can be cloned, so URLs are strings. */
export interface AdminThreadData {
  listen: Address
  /** Undefined: without TLS. */
  tls: TlsFiles | undefined
  store: StoreLocation
  /** For the head of a request, and for its body; 0: no limit. */
  headTimeoutMs: number
  /** As for the ledger (`LedgerSettings`). */
  stores: number
  sessionIdleTimeoutMs: number
  /** How long events are kept; 0: for ever. */
  eventRetentionMs: number
  /** Where events are posted; undefined: nowhere. */
  webhook: WebhookTarget | undefined
  tokens: readonly Token[]
  allowedOrigins: readonly string[]
  /** Keeps the key that ids are hashed with (--mask). */
  dataDir: string
  mask: boolean
  logLevel: string
  /** Undefined: nothing is exported. */
  otlp: OtlpSettings | undefined
  drainTimeoutMs: number
  /** The buffer of the process's `DroppedLines`. */
  droppedLines: SharedArrayBuffer
  /** Undefined: no live monitoring. */
  monitoring: MonitoringData | undefined
}

/** What can be called in the admin thread. */
export interface AdminThreadMethods extends Startable {
  /** Other tokens count from now on. */
  setTokens(tokens: readonly Token[]): void | Promise<void>
  /** Reads the metrics for the last time, where they are exported. */
  finishMetrics(): void | Promise<void>
}

/** What live monitoring needs. */
export interface MonitoringData {
  /** Where clients connect. */
  proxyUrl: string
  /** The only gateway; undefined where the store says which there are. */
  upstream: string | undefined
  /** Which paths the upstream has. */
  paths: RoutePatterns
  historyLimit: number
  /** What operators see of the settings; nothing secret. */
  shownSettings: Record<string, unknown>
}
