// Owns the settings: each declared once. Flags, environment variables, defaults, help and error messages come from here.
//
// To add a flag, add an entry here, and name it in app/instance-settings.ts for the part that uses it. To follow a flag, search
// for the name of its entry: every part calls it so.
import type { TlsFiles } from '../util/tls-front.js'
import type { OtlpSettings } from './otlp-variables.js'
import {
  accessLog,
  address,
  addressRanges,
  age,
  boolean,
  claimName,
  conversationKeys,
  count,
  directory,
  duration,
  headerName,
  hosts,
  keeping,
  lease,
  type Kind,
  oneOf,
  origins,
  pathPatterns,
  pemFile,
  processes,
  store,
  storeFile,
  type StoreLocation,
  tokenFile,
  tokens,
  upstreamFile,
  upstreams,
  webhook,
  webhookSecretFile,
  wholeNumber
} from './setting-kinds.js'
import type { UpstreamAddress } from './upstream-list.js'

/** The declaration of a setting whose value is a `T`. */
export interface Setting<T> {
  /** How its text becomes its value. */
  kind: Kind<T>
  /** One line for `--help`. */
  help: string
  /** The text that counts where neither flag nor variable is given. A setting without a default is then undefined. */
  default?: string
  /** The value never appears in a message. */
  secret?: true
  /** A variable that is understood too, after the setting's own. */
  alias?: string
  /** Only the flag counts: it says what one command is about. */
  flagOnly?: true
}

/**
 * Every setting, by its name in `Config`. `sessionIdleTimeoutMs` is the flag `--session-idle-timeout` and the variable
 * `TURNSTILE_SESSION_IDLE_TIMEOUT`. Other TURNSTILE_ variables are left alone: Kubernetes makes some for a service
 * named turnstile.
 */
export const settings = {
  upstream: {
    kind: upstreams,
    help: 'base URL of the MCP gateway; for several give it again, or separate them by commas, each as URL or NAME=URL (required, or --upstream-file)'
  },
  upstreamFile: {
    kind: upstreamFile,
    help: 'a file with more gateways, one a line, read again when it changes (default: none)'
  },
  listen: { kind: address, default: '127.0.0.1:8080', help: 'where MCP clients connect' },
  admin: {
    kind: address,
    default: '127.0.0.1:9090',
    help: 'where operators connect: queries, dashboard, /metrics'
  },
  tlsCert: {
    kind: pemFile,
    help: 'serve MCP clients over TLS with this certificate, read again when it changes (default: none)'
  },
  tlsKey: { kind: pemFile, help: 'its key (default: none)' },
  store: {
    kind: store,
    default: 'sqlite:./data/turnstile.db',
    secret: true,
    help: 'the database: sqlite:PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE'
  },
  storeFile: { kind: storeFile, help: 'a file with the value of --store, which it replaces (default: none)' },
  dataDir: {
    kind: directory,
    default: './data',
    help: 'the outbox: what the store does not have yet; each proxy needs its own'
  },
  streamPath: {
    kind: pathPatterns,
    default: '/stream/{endpoint_id},/mcp,/mcp/{endpoint_id},/{endpoint_id}/mcp',
    help: "the gateway's Streamable HTTP endpoints: {name} is the endpoint's id, {name+} one with slashes; a path without braces is one endpoint, `default`"
  },
  ssePath: {
    kind: pathPatterns,
    default: '/{endpoint_id}/sse,/sse',
    help: "the gateway's legacy HTTP+SSE streams"
  },
  messagePath: {
    kind: pathPatterns,
    default: '/message,/messages,/mcp/message,/mcp/messages',
    help: 'where the messages of legacy sessions are posted'
  },
  sessionIdleTimeoutMs: {
    kind: duration,
    default: '300s',
    help: "close a session that was not used for this long; give the value of the gateway's keep_alive; 0: never"
  },
  streamIsUse: {
    kind: boolean,
    default: 'on',
    help: 'an open GET stream keeps its session open; a call under way always does'
  },
  confirmSuspects: {
    kind: boolean,
    default: 'on',
    help: 'ping a session whose stream the gateway ended, and all sessions after the gateway restarted'
  },
  endIdleSessions: {
    kind: boolean,
    default: 'off',
    help: 'send the gateway a DELETE for each session that is closed as idle'
  },
  leaseMs: {
    kind: lease,
    default: '15s',
    help: 'a proxy of the same store that is silent for this long is treated as dead, and its legacy streams are closed as lost'
  },
  retentionMs: {
    kind: age,
    default: '0',
    help: 'delete sessions that ended longer ago, at least 1h; counts and series stay; 0: never'
  },
  rollupRetentionMs: {
    kind: age,
    default: '400d',
    help: 'delete the counts by minute and day that are older; 0: never'
  },
  eventRetentionMs: {
    kind: keeping,
    default: '24h',
    help: 'how long events of sessions are kept for /api/events; 0: for ever'
  },
  upstreamTimeoutMs: {
    kind: duration,
    default: '300s',
    help: "wait for a response's headers, or until more of an upload is read; 0: for ever"
  },
  upstreamKeepAliveMs: {
    kind: duration,
    default: '4s',
    help: 'use an idle connection to the upstream for this long, unless its Keep-Alive header names a time; 0: never'
  },
  connectTimeoutMs: { kind: duration, default: '5s', help: 'wait for a connection to the upstream' },
  drainDelayMs: {
    kind: duration,
    default: '0',
    help: 'at exit, go on accepting for this long while /readyz says 503'
  },
  drainTimeoutMs: { kind: duration, default: '8s', help: 'at exit, wait for requests under way' },
  workers: { kind: processes, default: '1', help: 'processes that share the listener' },
  headTimeoutMs: {
    kind: duration,
    default: '60s',
    help: "wait for a request's head, on the admin port for all of it; 0: for ever"
  },
  keepAliveTimeoutMs: { kind: duration, default: '72s', help: 'wait for the next request; 0: for ever' },
  stallTimeoutMs: {
    kind: duration,
    default: '60s',
    help: 'wait for a client that stops in the middle of a body or a response; 0: for ever'
  },
  sseKeepAliveMs: {
    kind: duration,
    default: '0',
    help: 'send a comment to clients whose event stream was quiet for this long; 0: never'
  },
  maxConnections: { kind: count, default: '20000', help: 'connections of clients; 0: no limit' },
  maxStreams: { kind: count, default: '15000', help: 'streams under way; 0: no limit' },
  maxRequests: { kind: count, default: '5000', help: 'other requests under way; 0: no limit' },
  maxSessionsPerEndpoint: {
    kind: count,
    default: '0',
    help: 'open sessions of one endpoint, counted in the store; 0: no limit'
  },
  maxSessionsPerPrincipal: {
    kind: count,
    default: '0',
    help: 'open sessions of one principal, counted in the store; 0: no limit'
  },
  whenFull: {
    kind: oneOf('refuse|evict-idlest', 'refuse', 'evict-idlest'),
    default: 'refuse',
    help: 'what happens to a session over that limit: it is refused, or it opens and the session of the principal that was idle for longest is ended'
  },
  maxEndpoints: {
    kind: count,
    default: '10000',
    help: 'endpoints that the store keeps; sessions of more endpoints are counted together at the endpoint `other`; 0: no limit'
  },
  maxNewSessionsPerAddress: {
    kind: count,
    default: '600',
    help: 'new session-less clients of one address within a minute; more are counted together; 0: no limit'
  },
  rewriteHost: { kind: boolean, default: 'off', help: "send the upstream's authority as Host" },
  allowedHost: { kind: hosts, help: 'hosts whose requests are accepted; all others get 403 (default: any)' },
  allowedOrigin: {
    kind: origins,
    help: 'origins of browsers whose requests are accepted; all others get 403 (default: any)'
  },
  trustedProxy: {
    kind: addressRanges,
    help: 'addresses of proxies in front of this one, whose X-Forwarded-For is believed, separated by commas (default: none)'
  },
  principals: {
    kind: oneOf('plain|hashed|off', 'plain', 'hashed', 'off'),
    default: 'plain',
    help: 'store on whose behalf sessions are used: by name, by keyed fingerprint, or not at all'
  },
  principalHeader: {
    kind: headerName,
    help: 'the header field in which a trusted proxy names the principal (default: none)'
  },
  principalClaim: {
    kind: claimName,
    help: 'the claim of a JWT that names the principal (default: iss and sub)'
  },
  apiKeyHeader: { kind: headerName, default: 'X-Api-Key', help: 'the header field of API keys' },
  conversationKey: {
    kind: conversationKeys,
    default:
      'meta:openai/session,meta:threadId,meta:sessionID,header:x-openhands-conversation-id,header:mcp-client-session-id',
    help: 'where requests say to which conversation they belong, tried in this order: header:NAME, meta:PATH, baggage:KEY; off: nowhere'
  },
  adminToken: {
    kind: tokens,
    secret: true,
    help: 'bearer tokens for the admin port: read:TOKEN may only read, metrics:TOKEN only /metrics (default: none)'
  },
  adminTokenFile: { kind: tokenFile, help: 'a file with such tokens, one a line (default: none)' },
  adminTlsCert: {
    kind: pemFile,
    help: 'serve operators over TLS with this certificate, read again when it changes (default: none)'
  },
  adminTlsKey: { kind: pemFile, help: 'its key (default: none)' },
  adminTlsClientCa: {
    kind: pemFile,
    help: 'refuse operators without a certificate of these authorities (default: none)'
  },
  adminAllowOrigin: {
    kind: origins,
    help: 'origins of other web pages that may use the admin port (default: none)'
  },
  mask: {
    kind: boolean,
    default: 'off',
    help: 'the admin port shows client addresses truncated and session ids hashed'
  },
  monitoring: {
    kind: boolean,
    default: 'on',
    alias: 'MCP_CONNECTION_MONITORING_ENABLED',
    help: 'serve live monitoring: /api/mcp, /internal/connections, Socket.IO and the dashboard'
  },
  webhook: {
    kind: webhook,
    secret: true,
    help: 'a URL to which each event of a session is posted (default: none)'
  },
  webhookSecretFile: {
    kind: webhookSecretFile,
    help: 'a file with the secret that signs what is posted there, whsec_… (default: none)'
  },
  historyLimit: {
    kind: wholeNumber(1_000),
    default: '100',
    alias: 'MCP_CONNECTION_HISTORY_LIMIT',
    help: 'how many ended sessions a status response lists'
  },
  accessLog: {
    kind: accessLog,
    default: 'off',
    help: 'one JSON line for each request: off, stdout, or a file, which SIGHUP opens again'
  },
  logLevel: {
    kind: oneOf('LEVEL', 'fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    default: 'info',
    alias: 'MCP_CONNECTION_LOG_LEVEL',
    help: 'the least severe log lines to write'
  }
} satisfies Record<string, Setting<unknown>>

/** The settings of `mcp-turnstile check`. */
export const checkSettings = {
  store: settings.store,
  storeFile: settings.storeFile,
  repair: { kind: boolean, default: 'off', help: 'correct what differs' },
  events: {
    kind: boolean,
    default: 'off',
    help: 'also replay the events that are kept, and compare what is open then'
  }
} satisfies Record<string, Setting<unknown>>

/** The settings of `mcp-turnstile copy`. */
export const copySettings = {
  from: { kind: store, secret: true, help: 'the store to copy; no proxy may use it meanwhile' },
  fromFile: {
    kind: storeFile,
    help: 'a file with the value of --from, which it replaces'
  },
  to: { kind: store, secret: true, help: 'the store to copy it to; it must be empty' },
  toFile: { kind: storeFile, help: 'a file with the value of --to, which it replaces' }
} satisfies Record<string, Setting<unknown>>

/** Settings by their names. */
export type Schema = Record<string, Setting<unknown>>

type ValueOf<S> = S extends { kind: Kind<infer T> }
  ? S extends { default: string }
    ? T
    : T | undefined
  : never

/** The values of settings, by their names. */
export type ValuesOf<S extends Schema> = { [Name in keyof S]: ValueOf<S[Name]> }

/** The values of all settings, read and checked. Names ending in `Ms` are milliseconds; 0 there means off. */
export type Config = ValuesOf<typeof settings> & {
  /** Of the proxy, and of the admin port; undefined: without TLS. */
  tls: TlsFiles | undefined
  adminTls: TlsFiles | undefined
  /** The gateways of both settings, one at least. */
  upstreams: readonly UpstreamAddress[]
  /** What the variables of OpenTelemetry ask for; undefined: nothing is exported. */
  otlp: OtlpSettings | undefined
}

/** The values of the settings of `mcp-turnstile check`. */
export type CheckConfig = ValuesOf<typeof checkSettings>

/** The values of the settings of `mcp-turnstile copy`. */
export interface CopyConfig {
  from: StoreLocation
  to: StoreLocation
}

/** The flag of a setting: `sessionIdleTimeoutMs` is `--session-idle-timeout`. */
export const flagOf = (name: string): string =>
  `--${name.replace(/Ms$/, '').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

/** The environment variable of a flag: `--session-idle-timeout` is `TURNSTILE_SESSION_IDLE_TIMEOUT`. */
export const variableOf = (flag: string): string =>
  flag.replace('--', 'TURNSTILE_').replaceAll('-', '_').toUpperCase()

/** The settings by their flags. */
export const byFlag = (schema: Schema): Map<string, Setting<unknown>> =>
  new Map(Object.entries(schema).map(([name, setting]) => [flagOf(name), setting]))
