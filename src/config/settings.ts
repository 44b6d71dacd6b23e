// Owns the settings: one schema, and from it flags, environment variables, defaults, help and error messages.
import { readFileSync } from 'node:fs'
import { BlockList, isIPv6 } from 'node:net'
import {
  address,
  addressRanges,
  age,
  boolean,
  count,
  directory,
  duration,
  hosts,
  lease,
  type Kind,
  oneOf,
  origins,
  path,
  pathPattern,
  processes,
  store,
  storeFile,
  tokenFile,
  tokens,
  upstreamUrl,
  wholeNumber
} from './setting-kinds.js'

export type { Address, StoreLocation } from './setting-kinds.js'

interface Setting<T> {
  kind: Kind<T>
  help: string
  default?: string
  required?: true
  /** The value never appears in a message. */
  secret?: true
  /** A variable that is understood too, after the setting's own. */
  alias?: string
}

/**
 * Every setting, by its name in `Config`. `sessionIdleTimeoutMs` is the flag `--session-idle-timeout` and the variable
 * `TURNSTILE_SESSION_IDLE_TIMEOUT`. Other TURNSTILE_ variables are left alone: Kubernetes makes some for a service
 * named turnstile.
 */
const settings = {
  upstream: { kind: upstreamUrl, required: true, help: 'base URL of the MCP gateway' },
  listen: { kind: address, default: '127.0.0.1:8080', help: 'where MCP clients connect' },
  admin: { kind: address, default: '127.0.0.1:9090', help: 'where operators ask' },
  store: {
    kind: store,
    default: 'sqlite:./data/turnstile.db',
    secret: true,
    help: 'sqlite:PATH or mysql://…'
  },
  storeFile: { kind: storeFile, help: 'a file with that, which wins over --store (default: none)' },
  dataDir: { kind: directory, default: './data', help: 'keeps what is not yet in the store' },
  streamPath: {
    kind: pathPattern,
    default: '/stream/{endpoint_id}',
    help: "the gateway's Streamable HTTP endpoints; without {endpoint_id} all is one endpoint, `default`"
  },
  ssePath: { kind: pathPattern, default: '/{endpoint_id}/sse', help: 'its legacy SSE streams' },
  messagePath: { kind: path, default: '/message', help: 'where messages of those are posted' },
  sessionIdleTimeoutMs: {
    kind: duration,
    default: '300s',
    help: "ends a session without use, as the gateway's keep_alive does; 0: never"
  },
  confirmSuspects: {
    kind: boolean,
    default: 'on',
    help: 'ping a session whose stream the gateway ended, and all sessions after the gateway restarted'
  },
  endIdleSessions: {
    kind: boolean,
    default: 'off',
    help: 'send the gateway a DELETE for each session that idles here'
  },
  leaseMs: {
    kind: lease,
    default: '15s',
    help: 'a proxy of the same store not heard of for this time is gone: its streams are lost'
  },
  retentionMs: {
    kind: age,
    default: '0',
    help: 'delete sessions that ended longer ago, at least 1h; counts and series stay; 0: never'
  },
  rollupRetentionMs: {
    kind: age,
    default: '0',
    help: 'delete the counts by minute and day of a time longer ago; 0: never'
  },
  upstreamTimeoutMs: {
    kind: duration,
    default: '300s',
    help: "wait for an answer's headers, or until more of an upload is read; 0: for ever"
  },
  connectTimeoutMs: { kind: duration, default: '5s', help: 'wait for a connection to the upstream' },
  drainDelayMs: {
    kind: duration,
    default: '0',
    help: 'at exit, go on accepting for this long while /readyz says 503'
  },
  drainTimeoutMs: { kind: duration, default: '10s', help: 'at exit, wait for requests under way' },
  workers: { kind: processes, default: '1', help: 'processes that share the listener' },
  headTimeoutMs: { kind: duration, default: '60s', help: "wait for a request's head; 0: for ever" },
  keepAliveTimeoutMs: { kind: duration, default: '72s', help: 'wait for the next request; 0: for ever' },
  stallTimeoutMs: {
    kind: duration,
    default: '60s',
    help: 'wait for a client that stops amid a body or an answer; 0: for ever'
  },
  maxConnections: { kind: count, default: '20000', help: 'connections of clients; 0: no limit' },
  maxStreams: { kind: count, default: '15000', help: 'streams under way; 0: no limit' },
  maxRequests: { kind: count, default: '5000', help: 'other requests under way; 0: no limit' },
  maxSessionsPerEndpoint: {
    kind: count,
    default: '0',
    help: 'open sessions of one endpoint, counted in the store; 0: no limit'
  },
  rewriteHost: { kind: boolean, default: 'off', help: "send the upstream's authority as Host" },
  allowedHost: { kind: hosts, help: 'hosts to answer, all others 403 (default: any)' },
  allowedOrigin: {
    kind: origins,
    help: 'origins of browsers to answer, all others 403 (default: any)'
  },
  trustedProxy: {
    kind: addressRanges,
    help: 'proxies before this one whose X-Forwarded-For tells the client address, comma separated (default: none)'
  },
  adminToken: {
    kind: tokens,
    secret: true,
    help: 'bearer tokens for the admin port: read:TOKEN may only read, metrics:TOKEN only /metrics (default: none)'
  },
  adminTokenFile: { kind: tokenFile, help: 'a file with such tokens, one a line (default: none)' },
  adminAllowOrigin: {
    kind: origins,
    help: 'origins whose web pages may ask the admin port, beside its own (default: none)'
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
  historyLimit: {
    kind: wholeNumber(1_000),
    default: '100',
    alias: 'MCP_CONNECTION_HISTORY_LIMIT',
    help: 'how many ended sessions a status answer lists'
  },
  logLevel: {
    kind: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    default: 'info',
    alias: 'MCP_CONNECTION_LOG_LEVEL',
    help: 'the least severe log lines to write'
  }
} satisfies Record<string, Setting<unknown>>

/** The settings of `mcp-turnstile check`. */
const checkSettings = {
  store: settings.store,
  storeFile: settings.storeFile,
  repair: { kind: boolean, default: 'off', help: 'put right what differs' }
} satisfies Record<string, Setting<unknown>>

type Schema = Record<string, Setting<unknown>>
type ValueOf<S> = S extends { kind: Kind<infer T> }
  ? S extends { default: string } | { required: true }
    ? T
    : T | undefined
  : never
type ValuesOf<S extends Schema> = { [Name in keyof S]: ValueOf<S[Name]> }

/** All settings, read and checked. Names ending in `Ms` are milliseconds; 0 there means off. */
export type Config = ValuesOf<typeof settings>

export type ConfigErrorCode =
  | 'UNKNOWN_FLAG'
  | 'UNEXPECTED_ARGUMENT'
  | 'MISSING_VALUE'
  | 'REPEATED_FLAG'
  | 'BAD_VALUE'
  | 'REQUIRED'
  | 'ADMIN_TOKEN_REQUIRED'

/** A setting that cannot be used. The message is one line: which flag or variable, and what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ConfigErrorCode

  constructor(code: ConfigErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

const flagOf = (name: string): string =>
  `--${name.replace(/Ms$/, '').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

const variableOf = (flag: string): string =>
  flag.replace('--', 'TURNSTILE_').replaceAll('-', '_').toUpperCase()

const byFlag = (schema: Schema): Map<string, Setting<unknown>> =>
  new Map(Object.entries(schema).map(([name, setting]) => [flagOf(name), setting]))

/**
 * Reads the settings: a flag wins over its TURNSTILE_ variable, that over the alias, that over the default. An empty
 * variable counts as unset. Throws ConfigError on the first thing it cannot use.
 */
export function parseConfig(argv: readonly string[], env: Record<string, string | undefined>): Config {
  const config = readAll(settings, argv, env)
  if (!config.adminToken && !config.adminTokenFile && !isLoopback(config.admin.host)) {
    throw new ConfigError(
      'ADMIN_TOKEN_REQUIRED',
      '--admin can be reached from other machines: set TURNSTILE_ADMIN_TOKEN (or --admin-token, --admin-token-file), or use 127.0.0.1'
    )
  }
  return withStoreOfFile(config)
}

/** Reads the settings of `mcp-turnstile check`; throws as `parseConfig` does. */
export const parseCheckConfig = (
  argv: readonly string[],
  env: Record<string, string | undefined>
): ValuesOf<typeof checkSettings> => withStoreOfFile(readAll(checkSettings, argv, env))

const withStoreOfFile = <C extends Pick<Config, 'store' | 'storeFile'>>(config: C): C => ({
  ...config,
  store: config.storeFile ?? config.store
})

function readAll<S extends Schema>(
  schema: S,
  argv: readonly string[],
  env: Record<string, string | undefined>
): ValuesOf<S> {
  const flags = readFlags(byFlag(schema), argv)
  const entries = Object.entries(schema).map(([name, setting]) => [
    name,
    read(flagOf(name), setting, flags, env)
  ])
  return Object.fromEntries(entries) as ValuesOf<S>
}

/** The text that `--help` or `--version` asks for, if one of them is there. */
export function informationAsked(argv: readonly string[]): string | undefined {
  if (argv.includes('--help') || argv.includes('-h')) return helpText()
  return argv.includes('--version') ? version() : undefined
}

/** What `--help` prints. */
export function helpText(): string {
  return [
    'mcp-turnstile: a reverse proxy in front of an MCP gateway that counts every session',
    '',
    'Usage: mcp-turnstile --upstream URL [flags]',
    '',
    ...flagLines({
      ...settings,
      help: { kind: boolean, help: 'this text' },
      version: { kind: boolean, help: 'the version' }
    }),
    '',
    'mcp-turnstile check [flags]: compares counts by endpoint, minute and day with the sessions; exit code 1 if they differ',
    '',
    ...flagLines(checkSettings),
    '',
    'Every flag has a variable, which it wins over: --upstream is TURNSTILE_UPSTREAM, --data-dir TURNSTILE_DATA_DIR.',
    'Times: 500ms, 300s, 5m, 1h, ages also 30d. A flag without a value is switched off by =false.'
  ].join('\n')
}

function flagLines(schema: Schema): string[] {
  const lines = [...byFlag(schema)].map(([flag, { kind, ...setting }]): [string, string] => {
    const byDefault = setting.default === undefined ? '' : ` (default: ${setting.default})`
    const left = kind.alone === undefined ? `${flag} ${kind.placeholder}` : flag
    return [left, setting.help + (setting.required ? ' (required)' : byDefault)]
  })
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

/** Of the package. */
export function version(): string {
  const file = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(file) as { version: string }).version
}

function readFlags(known: Map<string, Setting<unknown>>, argv: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>()
  const rest = [...argv]
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, flag, inline] = /^(--[^=]+)(?:=(.*))?$/s.exec(argument) ?? []
    if (flag === undefined) {
      const message = `unexpected argument ${JSON.stringify(argument)}: every setting is a flag, such as --upstream URL`
      throw new ConfigError('UNEXPECTED_ARGUMENT', message)
    }
    const kind = known.get(flag)?.kind
    if (!kind)
      throw new ConfigError(
        'UNKNOWN_FLAG',
        `unknown flag ${JSON.stringify(flag)}: ${advice(flag, [...known.keys()])}`
      )
    if (flags.has(flag)) throw new ConfigError('REPEATED_FLAG', `${flag} is there twice: give it once`)
    const following = rest[0]?.startsWith('--') ? undefined : rest[0]
    const text = inline ?? kind.alone ?? following
    if (!text)
      throw new ConfigError('MISSING_VALUE', `${flag} has no value: give ${flag} ${kind.placeholder}`)
    if (inline === undefined && kind.alone === undefined) rest.shift()
    flags.set(flag, text)
  }
  return flags
}

function read(
  flag: string,
  setting: Setting<unknown>,
  flags: ReadonlyMap<string, string>,
  env: Record<string, string | undefined>
): unknown {
  const { kind, alias, secret, required } = setting
  const variables = [variableOf(flag), ...(alias === undefined ? [] : [alias])]
  const source = flags.has(flag) ? flag : variables.find(name => env[name])
  const text = source === undefined ? setting.default : (flags.get(source) ?? env[source])
  if (text === undefined) {
    if (!required) return undefined
    const message = `${flag} is missing: give ${flag} ${kind.placeholder}, or set ${variableOf(flag)}`
    throw new ConfigError('REQUIRED', message)
  }
  const value = kind.parse(text)
  if (value !== undefined) return value
  // What comes before an @ in a URL may be a password.
  const shown = secret || text.includes('@') ? '' : ` ${JSON.stringify(text)}`
  throw new ConfigError('BAD_VALUE', `${source ?? flag}${shown} cannot be used: give ${kind.expected}`)
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const isLoopback = (host: string): boolean =>
  host.toLowerCase() === 'localhost' || loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')

function advice(flag: string, known: readonly string[]): string {
  const [nearest] = [...known, '--help', '--version']
    .map(name => ({ name, edits: editDistance(flag, name) }))
    .sort((a, b) => a.edits - b.edits)
  return nearest && nearest.edits <= 3 ? `did you mean ${nearest.name}?` : '--help lists all flags'
}

/** Levenshtein's: how many characters to insert, remove or replace. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row.at(-1)!
}
