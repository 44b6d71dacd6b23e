// Owns which part of a proxy instance gets which settings: each is named here, and no part gets a secret that it does not use.
import type { Config } from '../config/settings.js'
import type { ProxyOptions } from '../proxy/proxy-server.js'
import { activatedSocket } from './socket-activation.js'
import type { LedgerSettings } from './start-ledger.js'
import type { PrincipalLimitSettings } from './start-principal-limit.js'
import type { SessionSettings } from './start-sessions.js'
import type { UpkeepSettings } from './start-upkeep.js'
import type { GatewaySettings } from './start-upstreams.js'

/** What `startLedger` uses. Only the ledger knows where the store is, and the password of the store. */
export const ledgerSettings = (config: Config): LedgerSettings => ({
  store: config.store,
  stores: storesOf(config),
  dataDir: config.dataDir,
  sessionIdleTimeoutMs: config.sessionIdleTimeoutMs,
  maxEndpoints: config.maxEndpoints,
  maxSessionsPerEndpoint: config.maxSessionsPerEndpoint
})

/** How many stores the whole proxy opens: one for each instance, and one for the admin port. */
export const storesOf = ({ workers }: Config): number => workers + 1

/** What `startSessions` uses. */
export const sessionSettings = (config: Config): SessionSettings => ({
  sessionIdleTimeoutMs: config.sessionIdleTimeoutMs,
  confirmSuspects: config.confirmSuspects,
  maxNewSessionsPerAddress: config.maxNewSessionsPerAddress
})

/** What `startEvictions` uses. */
export const principalLimitSettings = (config: Config): PrincipalLimitSettings => ({
  maxSessionsPerPrincipal: config.maxSessionsPerPrincipal,
  whenFull: config.whenFull
})

/** What `startUpstreams` uses. */
export const upstreamsSettings = (config: Config): GatewaySettings => ({
  upstream: config.upstream,
  upstreamFile: config.upstreamFile,
  upstreams: config.upstreams,
  rewriteHost: config.rewriteHost,
  upstreamTimeoutMs: config.upstreamTimeoutMs,
  upstreamKeepAliveMs: config.upstreamKeepAliveMs,
  connectTimeoutMs: config.connectTimeoutMs
})

/** What `startUpkeep` uses. */
export const upkeepSettings = (config: Config): UpkeepSettings => ({
  rewriteHost: config.rewriteHost,
  connectTimeoutMs: config.connectTimeoutMs,
  leaseMs: config.leaseMs,
  retentionMs: config.retentionMs,
  rollupRetentionMs: config.rollupRetentionMs,
  eventRetentionMs: config.eventRetentionMs,
  confirmSuspects: config.confirmSuspects,
  endIdleSessions: config.endIdleSessions
})

/** The parts that the proxy works with, beside its settings. */
export type ProxyParts = Pick<
  ProxyOptions,
  | 'routes'
  | 'credentials'
  | 'observe'
  | 'liveSessions'
  | 'principalCounts'
  | 'upstreams'
  | 'upstreamOf'
  | 'locate'
  | 'locateTask'
  | 'operations'
  | 'traffic'
  | 'writeAccess'
  | 'isTraced'
  | 'logger'
>

/** What `startProxy` uses. */
export const proxyOptions = (config: Config, parts: ProxyParts): ProxyOptions => ({
  host: config.listen.host,
  port: config.listen.port,
  tls: config.tls,
  listenFd: activatedSocket(process.env),
  rewriteHost: config.rewriteHost,
  upstreamTimeoutMs: config.upstreamTimeoutMs,
  headTimeoutMs: config.headTimeoutMs,
  keepAliveTimeoutMs: config.keepAliveTimeoutMs,
  stallTimeoutMs: config.stallTimeoutMs,
  sseKeepAliveMs: config.sseKeepAliveMs,
  maxConnections: config.maxConnections,
  maxStreams: config.maxStreams,
  maxRequests: config.maxRequests,
  maxSessionsPerEndpoint: config.maxSessionsPerEndpoint,
  ...principalLimitSettings(config),
  allowedHost: config.allowedHost,
  allowedOrigin: config.allowedOrigin,
  trustedProxy: config.trustedProxy,
  streamIsUse: config.streamIsUse,
  principals: config.principals,
  principalHeader: config.principalHeader,
  principalClaim: config.principalClaim,
  apiKeyHeader: config.apiKeyHeader,
  conversationKey: config.conversationKey,
  routes: parts.routes,
  credentials: parts.credentials,
  observe: parts.observe,
  liveSessions: parts.liveSessions,
  principalCounts: parts.principalCounts,
  upstreams: parts.upstreams,
  upstreamOf: parts.upstreamOf,
  locate: parts.locate,
  locateTask: parts.locateTask,
  operations: parts.operations,
  traffic: parts.traffic,
  writeAccess: parts.writeAccess,
  isTraced: parts.isTraced,
  logger: parts.logger
})
