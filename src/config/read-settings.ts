// Owns how flags and environment variables become settings, and the error message for an invalid one.
import { BlockList, isIPv6 } from 'node:net'
import { isDeepStrictEqual, parseArgs, type ParseArgsConfig } from 'node:util'
import { closest, distance } from 'fastest-levenshtein'
import { findHidden } from '../mcp/routes.js'
import { reasonOf, TurnstileError } from '../util/errors.js'
import { parseMysqlUrl } from '../util/mysql-url.js'
import { readTlsFiles, type TlsFiles } from '../util/tls-front.js'
import { faultOfOtlp, otlpSettings } from './otlp-variables.js'
import {
  byFlag,
  type CheckConfig,
  checkSettings,
  type Config,
  type CopyConfig,
  copySettings,
  flagOf,
  type Schema,
  type Setting,
  settings,
  type ValuesOf,
  variableOf
} from './settings.js'
import { faultOfUpstreams } from './upstream-list.js'

/** What is wrong with the settings. */
export type ConfigErrorCode =
  | 'UNKNOWN_FLAG'
  | 'UNEXPECTED_ARGUMENT'
  | 'MISSING_VALUE'
  | 'REPEATED_FLAG'
  | 'BAD_VALUE'
  | 'REQUIRED'
  | 'ADMIN_TOKEN_REQUIRED'

/** A setting is invalid. The message is one line that names the flag or variable and says what to do. */
export class ConfigError extends TurnstileError {
  readonly code: ConfigErrorCode

  constructor(code: ConfigErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/**
 * Reads the settings: a flag wins over its TURNSTILE_ variable, that over the alias, that over the default. An empty
 * variable counts as unset. Throws `ConfigError` on the first setting that is invalid.
 */
export function parseConfig(argv: readonly string[], env: Record<string, string | undefined>): Config {
  const config = withUpstreams(readAll(settings, argv, env))
  if (!config.adminToken && !config.adminTokenFile && !isLoopback(config.admin.host)) {
    throw new ConfigError(
      'ADMIN_TOKEN_REQUIRED',
      '--admin can be reached from other machines: set TURNSTILE_ADMIN_TOKEN (or --admin-token, --admin-token-file), or use 127.0.0.1'
    )
  }
  refuseHiddenPaths(config)
  if (config.principalHeader !== undefined && config.trustedProxy === undefined)
    throw new ConfigError(
      'REQUIRED',
      '--principal-header is believed of trusted proxies only: give --trusted-proxy too'
    )
  if (config.webhook !== undefined && config.webhookSecretFile === undefined)
    throw new ConfigError('REQUIRED', '--webhook is signed with a secret: give --webhook-secret-file too')
  const fault = faultOfOtlp(env)
  if (fault !== undefined) throw new ConfigError('BAD_VALUE', fault)
  const complete = { ...withTls(withStoreOfFile(config)), otlp: otlpSettings(env) }
  refuseFewConnections(complete)
  return complete
}

/** Throws ConfigError where the connections of --store are less than one for each worker, and one for the admin port. */
function refuseFewConnections({ store, workers }: Config): void {
  if (store.kind !== 'mysql') return
  const { connectionLimit = Infinity } = parseMysqlUrl(store.url)
  if (connectionLimit > workers) return
  const message = `connection_limit=${connectionLimit} of --store cannot be used: give at least ${workers + 1}, one more than --workers`
  throw new ConfigError('BAD_VALUE', message)
}

type SettingsWithUpstreams = Omit<Config, 'tls' | 'adminTls' | 'otlp'>

/** Throws ConfigError where a certificate or key is missing, or the two do not fit. */
function withTls(config: SettingsWithUpstreams): Omit<Config, 'otlp'> {
  const { tlsCert, tlsKey, adminTlsCert, adminTlsKey, adminTlsClientCa } = config
  return {
    ...config,
    tls: tlsFiles('--tls', tlsCert, tlsKey),
    adminTls: tlsFiles('--admin-tls', adminTlsCert, adminTlsKey, adminTlsClientCa)
  }
}

/** `flags`: how the flags begin. */
function tlsFiles(
  flags: string,
  cert: string | undefined,
  key: string | undefined,
  clientCa?: string
): TlsFiles | undefined {
  if (cert === undefined || key === undefined) {
    if (cert === undefined && key === undefined && clientCa === undefined) return undefined
    throw new ConfigError('REQUIRED', `${flags}-cert and ${flags}-key go together: give both`)
  }
  const files = { cert, key, clientCa }
  try {
    readTlsFiles(files)
  } catch (error) {
    throw new ConfigError('BAD_VALUE', `${flags}-cert and ${flags}-key cannot be used: ${reasonOf(error)}`)
  }
  return files
}

/** Throws ConfigError where there is no gateway, or two have one name. */
function withUpstreams(values: ValuesOf<typeof settings>): SettingsWithUpstreams {
  const { upstream = [], upstreamFile } = values
  const upstreams = [...upstream, ...(upstreamFile?.upstreams ?? [])]
  if (upstreams.length === 0)
    throw new ConfigError('REQUIRED', '--upstream is missing: give --upstream URL, or set TURNSTILE_UPSTREAM')
  const fault = faultOfUpstreams(upstreams)
  if (fault !== undefined) throw new ConfigError('BAD_VALUE', `--upstream-file cannot be used: ${fault}`)
  return { ...values, upstreams }
}

/** Throws ConfigError for a path pattern, other than a default, for which another one leaves no request. */
function refuseHiddenPaths({
  streamPath,
  ssePath,
  messagePath
}: Pick<Config, 'streamPath' | 'ssePath' | 'messagePath'>): void {
  const patterns = { stream: streamPath, sse: ssePath, message: messagePath }
  const byDefault = (['stream', 'sse', 'message'] as const).filter(
    setting => patterns[setting] === settings[`${setting}Path`].default
  )
  const found = findHidden(patterns, new Set(byDefault))
  if (found === undefined) return
  const { hidden, by } = found
  const advice =
    hidden.setting === by.setting ? 'leave it out, or put it first' : 'make one of the two match less'
  throw new ConfigError(
    'BAD_VALUE',
    `--${hidden.setting}-path ${JSON.stringify(hidden.pattern.text)} is never reached, as --${by.setting}-path ${JSON.stringify(by.pattern.text)} takes all its paths: ${advice}`
  )
}

/** Reads the settings of `mcp-turnstile check`; throws as `parseConfig` does. */
export const parseCheckConfig = (
  argv: readonly string[],
  env: Record<string, string | undefined>
): CheckConfig => withStoreOfFile(readAll(checkSettings, argv, env))

/** Reads the settings of `mcp-turnstile copy`; throws as `parseConfig` does. */
export function parseCopyConfig(
  argv: readonly string[],
  env: Record<string, string | undefined>
): CopyConfig {
  const { from, fromFile, to, toFile } = readAll(copySettings, argv, env)
  const [source, target] = [fromFile ?? from, toFile ?? to]
  if (source === undefined || target === undefined)
    throw new ConfigError('REQUIRED', 'copy needs two stores: give --from STORE and --to STORE')
  if (isDeepStrictEqual(source, target))
    throw new ConfigError('BAD_VALUE', '--from and --to name the same store: give another --to')
  return { from: source, to: target }
}

const withStoreOfFile = <C extends Pick<CheckConfig, 'store' | 'storeFile'>>(config: C): C => ({
  ...config,
  store: config.storeFile ?? config.store
})

/** Reads the flags of a command and what stands between them; throws as `parseConfig` does. */
export function parseCommand<S extends Schema>(
  schema: S,
  argv: readonly string[],
  env: Record<string, string | undefined>
): { values: ValuesOf<S>; operands: string[] } {
  const operands: string[] = []
  return { values: readAll(schema, argv, env, operands), operands }
}

/** `operands` gets what is no flag; without it, that is refused. */
function readAll<S extends Schema>(
  schema: S,
  argv: readonly string[],
  env: Record<string, string | undefined>,
  operands?: string[]
): ValuesOf<S> {
  const flags = readFlags(byFlag(schema), argv, operands)
  const entries = Object.entries(schema).map(([name, setting]) => [
    name,
    read(flagOf(name), setting, flags, env)
  ])
  return Object.fromEntries(entries) as ValuesOf<S>
}

/** The flags of a command line and their texts. */
function readFlags(
  known: ReadonlyMap<string, Setting<unknown>>,
  argv: readonly string[],
  operands?: string[]
): Map<string, string> {
  const flags = new Map<string, string>()
  const { tokens } = parseArgs({ args: [...argv], options: optionsOf(known), tokens: true, strict: false })
  for (const token of tokens) {
    if (operands !== undefined && token.kind !== 'option') {
      if (token.kind === 'positional') operands.push(token.value)
      continue
    }
    if (token.kind !== 'option' || !/^--[^=]/.test(token.rawName)) {
      const message = `unexpected argument ${JSON.stringify(argv[token.index])}: every setting is a flag, such as --upstream URL`
      throw new ConfigError('UNEXPECTED_ARGUMENT', message)
    }
    const { rawName: flag, value, inlineValue } = token
    const kind = known.get(flag)?.kind
    if (!kind)
      throw new ConfigError(
        'UNKNOWN_FLAG',
        `unknown flag ${JSON.stringify(flag)}: ${advice(flag, [...known.keys()])}`
      )
    const earlier = kind.isList && flags.get(flag)
    if (!earlier && flags.has(flag))
      throw new ConfigError('REPEATED_FLAG', `${flag} is there twice: give it once`)
    // What parseArgs takes for the value may be the next flag.
    const isNextFlag = inlineValue === false && value.startsWith('--')
    const text = isNextFlag ? undefined : (value ?? kind.alone)
    if (!text)
      throw new ConfigError('MISSING_VALUE', `${flag} has no value: give ${flag} ${kind.placeholder}`)
    flags.set(flag, earlier ? `${earlier},${text}` : text)
  }
  return flags
}

/** For parseArgs: a flag that may stand alone takes a value only after `=`. */
const optionsOf = (known: ReadonlyMap<string, Setting<unknown>>): ParseArgsConfig['options'] =>
  Object.fromEntries(
    [...known].map(([flag, { kind }]) => [
      flag.slice('--'.length),
      { type: kind.alone === undefined ? 'string' : 'boolean' }
    ])
  )

/** The value of one setting: of its flag, its variable, its alias or its default, in this order. */
function read(
  flag: string,
  setting: Setting<unknown>,
  flags: ReadonlyMap<string, string>,
  env: Record<string, string | undefined>
): unknown {
  const { kind, alias, secret, flagOnly } = setting
  const variables = flagOnly ? [] : [variableOf(flag), ...(alias === undefined ? [] : [alias])]
  const source = flags.has(flag) ? flag : variables.find(name => env[name])
  const text = source === undefined ? setting.default : (flags.get(source) ?? env[source])
  if (text === undefined) return undefined
  const value = kind.parse(text)
  if (value !== undefined) return value
  // What comes before an @ in a URL may be a password.
  const shown = secret || text.includes('@') ? '' : ` ${JSON.stringify(text)}`
  const advice = kind.advice?.(text) ?? `give ${kind.expected}`
  throw new ConfigError('BAD_VALUE', `${source ?? flag}${shown} cannot be used: ${advice}`)
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const isLoopback = (host: string): boolean =>
  host.toLowerCase() === 'localhost' || loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')

/** A flag that differs from a known one in more characters is no misspelling of it. Chosen: two letters swapped and one missing. */
const MAX_EDITS = 3

function advice(flag: string, known: readonly string[]): string {
  const nearest = closest(flag, [...known, '--help', '--version'])
  return distance(flag, nearest) <= MAX_EDITS ? `did you mean ${nearest}?` : '--help lists all flags'
}
