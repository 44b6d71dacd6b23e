// Owns how the text of a setting becomes its value.
import { readFileSync } from 'node:fs'
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { ConversationKey } from '../mcp/conversation.js'
import { faultOf } from '../mcp/path-patterns.js'
import { reasonOf } from '../util/errors.js'
import { parseMysqlUrl } from '../util/mysql-url.js'
import { DAY_MS, HOUR_MS, MAX_DURATION_MS, MINUTE_MS, SECOND_MS } from '../util/time.js'
import { SCOPES, type Token } from './admin-token.js'
import {
  faultOfFile,
  faultOfNames,
  parseUpstreams,
  readUpstreamFile,
  type UpstreamAddress,
  type UpstreamFile
} from './upstream-list.js'

/** A kind of setting: how its text becomes a `T`. */
export interface Kind<T> {
  /** Stands for the value in `--help`. */
  placeholder: string
  /** What is valid, as the end of a sentence. */
  expected: string
  /** It is a list with commas, whose flag may be given again for more. */
  isList?: true
  /** Returns undefined for an invalid text. */
  parse(text: string): T | undefined
  /** What to do about a text that is not usable, where that can be said more closely than by `expected`. */
  advice?(text: string): string | undefined
  /** What the flag means when it stands alone; without it, the flag needs a value. */
  alone?: string
}

/** Where to listen: an IP address without brackets, or a host name; port 0 is any free one. */
export interface Address {
  host: string
  port: number
}

/** Which database keeps the ledger. `url` holds a password: not for logs. */
export type StoreLocation = { kind: 'sqlite'; path: string } | { kind: 'mysql'; url: string }

const unitsMs = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS }

/** The base URLs of the gateways; without credentials, because they are shown to operators. */
export const upstreams: Kind<UpstreamAddress[]> = {
  placeholder: 'URL',
  isList: true,
  expected: 'an http or https URL without user, password and query, such as http://127.0.0.1:3000',
  parse: parseUpstreams,
  advice: faultOfNames
}

/** A file with gateways. */
export const upstreamFile: Kind<UpstreamFile> = {
  placeholder: 'FILE',
  expected: 'a file that can be read, with one gateway on each line: URL or NAME=URL',
  parse: path => (faultOfFile(path) === undefined ? { path, upstreams: readUpstreamFile(path) } : undefined),
  advice: faultOfFile
}

/** An address to listen at. */
export const address: Kind<Address> = {
  placeholder: 'HOST:PORT',
  expected: 'host:port with a port from 0 to 65535, such as 127.0.0.1:8080 or [::1]:8080',
  parse(text) {
    const [, ipv6, name, digits] = /^(?:\[(.+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? []
    const host = ipv6 ?? name
    const port = Number(digits)
    if (host === undefined || port > 65_535) return undefined
    const isHost = ipv6 === undefined ? /[^\d.]/.test(host) || isIP(host) === 4 : isIPv6(host)
    return isHost ? { host, port } : undefined
  }
}

/** Which database keeps the ledger. */
export const store: Kind<StoreLocation> = {
  placeholder: 'STORE',
  expected:
    'sqlite:PATH or mysql://user:password@host:port/database (special characters in user and password percent-encoded)',
  parse(text) {
    const path = /^sqlite:(?!\/\/|:memory:$)(.+)$/.exec(text)?.[1]
    if (path !== undefined) return { kind: 'sqlite', path }
    return faultInMysqlUrl(text) === undefined ? { kind: 'mysql', url: text } : undefined
  },
  // Of a URL only its parameters are told apart.
  advice: text => (/^mysql:\/\/[^?]+\?/.test(text) ? faultInMysqlUrl(text) : undefined)
}

function faultInMysqlUrl(url: string): string | undefined {
  try {
    parseMysqlUrl(url)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** `store`, read from a file, so that the password is in no command line and in no environment variable. */
export const storeFile: Kind<StoreLocation> = {
  placeholder: 'FILE',
  expected: `a file that can be read, with ${store.expected}`,
  parse: path => readIn(path, text => store.parse(text.trim())),
  advice: path => readIn(path, text => store.advice!(text.trim()))
}

/** How long to wait, in milliseconds. At most what a timer of Node takes. */
export const duration: Kind<number> = {
  placeholder: 'TIME',
  expected: 'a time of at most 596h with its unit, such as 500ms, 300s, 5m or 1h, or 0',
  parse(text) {
    if (text === '0') return 0
    const [, digits, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? []
    const ms = Number(digits) * unitsMs[unit as keyof typeof unitsMs]
    return ms <= MAX_DURATION_MS ? ms : undefined
  }
}

/** Chosen: a wrong unit, such as 30m for 30d, must not delete sessions that people still look at. */
const MIN_AGE_MS = HOUR_MS

/** How long something is kept: no timer waits for it, so it may be long. */
export const age: Kind<number> = {
  placeholder: 'TIME',
  expected: 'a time of at least 1h with its unit, such as 12h or 30d, or 0',
  parse(text) {
    if (text === '0') return 0
    const [, digits, unit] = /^(\d{1,5})(h|d)$/.exec(text) ?? []
    const ms = Number(digits) * (unit === 'd' ? 24 : 1) * unitsMs.h
    return ms >= MIN_AGE_MS ? ms : undefined
  }
}

/** How long something small is kept, in milliseconds: no timer waits for it. */
export const keeping: Kind<number> = {
  placeholder: 'TIME',
  expected: 'a time of at least 1s with its unit, such as 90s, 15m, 24h or 7d, or 0',
  parse(text) {
    if (text === '0') return 0
    const [, digits, unit] = /^(\d{1,6})(s|m|h|d)$/.exec(text) ?? []
    const ms = Number(digits) * (unit === 'd' ? DAY_MS : unitsMs[unit as keyof typeof unitsMs])
    return ms >= SECOND_MS ? ms : undefined
  }
}

/**
 * Long enough for several heartbeats, which come once a second, and for the time in which the locks of a frozen instance can
 * hold up those of the others (`MAX_SILENCE_S` in ledger/mysql).
 */
const MIN_LEASE_MS = 6_000

/** How long an instance may be silent until it is taken for lost, in milliseconds. */
export const lease: Kind<number> = {
  placeholder: 'TIME',
  expected: 'a time from 6s to 596h with its unit, such as 15s',
  parse(text) {
    const ms = duration.parse(text)
    return ms !== undefined && ms >= MIN_LEASE_MS ? ms : undefined
  }
}

/** A switch: the flag alone means true. */
export const boolean: Kind<boolean> = {
  placeholder: 'true|false',
  expected: 'true or false',
  alone: 'true',
  parse(text) {
    if (/^(true|1|yes|on)$/i.test(text)) return true
    return /^(false|0|no|off)$/i.test(text) ? false : undefined
  }
}

/** Host names in lower case, each with a port or without. */
export const hosts: Kind<string[]> = {
  placeholder: 'HOST,…',
  isList: true,
  expected: 'host names, each with a port or without, such as mcp.example.com,localhost:8080',
  parse: list(text => (/^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(text) ? text.toLowerCase() : undefined))
}

/** Origins as browsers send them (RFC 6454 §6.2). */
export const origins: Kind<string[]> = {
  placeholder: 'ORIGIN,…',
  isList: true,
  expected: 'origins, such as https://app.example.com,http://localhost:5173, or null',
  parse: list(text => {
    if (text === 'null') return text
    const plain = /^\w[\w+.-]*:\/\/[^/?#@\s]+$/.test(text) && URL.canParse(text)
    // Of other schemes, as browser extensions have them, URL knows no origin.
    return plain ? (/^https?:/i.test(text) ? new URL(text).origin : text.toLowerCase()) : undefined
  })
}

/** Words with commas between them, all of them usable. */
function list<T extends string | object>(
  parse: (word: string) => T | undefined
): (text: string) => T[] | undefined {
  return text => {
    const words = text.split(',').map(word => parse(word.trim()))
    return words.every(word => word !== undefined) ? words : undefined
  }
}

/** Chosen: far above what one process can hold. A larger number is a typing error. */
const MAX_COUNT = 10_000_000

/** A limit; 0: none. */
export const count: Kind<number> = {
  placeholder: 'N',
  expected: `a whole number up to ${MAX_COUNT}, or 0 for no limit`,
  parse: text => (/^\d{1,8}$/.test(text) && Number(text) <= MAX_COUNT ? Number(text) : undefined)
}

/** Chosen: more than most machines have CPUs. Each worker has a data directory and connections of its own. */
const MAX_PROCESSES = 256

/** How many processes. */
export const processes: Kind<number> = {
  placeholder: 'N',
  expected: `a whole number from 1 to ${MAX_PROCESSES}`,
  parse(text) {
    const number = count.parse(text) ?? 0
    return number >= 1 && number <= MAX_PROCESSES ? number : undefined
  }
}

/** A file with certificates or a key in PEM. */
export const pemFile: Kind<string> = {
  placeholder: 'FILE',
  expected:
    'a file that can be read, in PEM format, with a line such as -----BEGIN CERTIFICATE----- or -----BEGIN PRIVATE KEY-----',
  parse: path => readIn(path, text => (text.includes('-----BEGIN ') ? path : undefined))
}

/** A directory; whether it can be used shows when it is opened. */
export const directory: Kind<string> = { placeholder: 'DIR', expected: 'a directory', parse: text => text }

/** Where the access log goes. */
export const accessLog: Kind<string> = {
  placeholder: 'off|stdout|FILE',
  expected: 'off, stdout, or the path of a file',
  parse: text => (/^(?:off|stdout)$/i.test(text) ? text.toLowerCase() : text)
}

/** Paths of the upstream, each with at most one part in braces: the endpoint id. */
export const pathPatterns: Kind<string> = {
  placeholder: 'PATH,…',
  isList: true,
  expected: 'paths such as /mcp or /stream/{endpoint_id}, each with at most one {…}, separated by commas',
  parse: text => (faultIn(text) === undefined ? text : undefined),
  advice: faultIn
}

function faultIn(patterns: string): string | undefined {
  for (const pattern of patterns.split(',')) {
    const fault = faultOf(pattern.trim())
    if (fault !== undefined) return fault
  }
  return undefined
}

/** IP addresses and CIDR ranges (RFC 4632, RFC 4291 §2.3). */
export const addressRanges: Kind<BlockList> = {
  placeholder: 'RANGES',
  isList: true,
  expected: 'IP addresses or ranges, separated by commas, such as 10.0.0.0/8,::1',
  parse(text) {
    const ranges = new BlockList()
    for (const range of text.split(',')) {
      const [, network = '', digits] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(range.trim()) ?? []
      const family = isIP(network)
      const bits = family === 6 ? 128 : 32
      const length = Number(digits ?? bits)
      if (family === 0 || length > bits) return undefined
      ranges.addSubnet(network, length, family === 6 ? 'ipv6' : 'ipv4')
    }
    return ranges
  }
}

/** Bearer tokens of the admin port. */
export const tokens: Kind<Token[]> = {
  placeholder: 'TOKENS',
  expected:
    'tokens of printable ASCII characters without spaces, separated by commas: TOKEN, read:TOKEN (may only read) or metrics:TOKEN (only /metrics)',
  parse: text => readTokens(text.split(',')),
  advice: text => tokenAdvice(text.split(','), 'token')
}

/** `tokens`, read from a file with one token in each line. */
export const tokenFile: Kind<Token[]> = {
  placeholder: 'FILE',
  expected:
    'a file that can be read, with one token on each line: TOKEN, read:TOKEN (may only read) or metrics:TOKEN (only /metrics)',
  parse: path => readIn(path, text => readTokens(linesOf(text).filter(isNotBlank))),
  advice: path => readIn(path, text => tokenAdvice(linesOf(text), 'line'))
}

/** Where events are posted. It may hold a secret; no user and password, which no request of `fetch` may have. */
export const webhook: Kind<string> = {
  placeholder: 'URL',
  expected: 'an http or https URL without user and password, such as https://hooks.example.com/mcp',
  parse: text => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const isUsable =
      url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
    return isUsable ? url.href : undefined
  }
}

/** The bytes of a secret (Standard Webhooks 1.0, "Signature scheme"). */
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64

/** A secret that signs webhooks, read from a file: `whsec_` and base64. */
export const webhookSecretFile: Kind<string> = {
  placeholder: 'FILE',
  expected: `a file that can be read, with whsec_ and the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} random bytes`,
  parse: path =>
    readIn(path, text => {
      const secret = text.trim()
      const [, base64 = ''] = /^whsec_([\w+/]+={0,2})$/.exec(secret) ?? []
      const bytes = Buffer.from(base64, 'base64').length
      return bytes >= MIN_SECRET_BYTES && bytes <= MAX_SECRET_BYTES ? secret : undefined
    })
}

const linesOf = (text: string): string[] => text.split(/\r?\n/)
const isNotBlank = (line: string): boolean => line.trim() !== ''

/** What a file says; undefined where it cannot be read. */
function readIn<T>(path: string, parse: (text: string) => T | undefined): T | undefined {
  try {
    return parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function readTokens(texts: readonly string[]): Token[] | undefined {
  if (texts.length === 0 || texts.some(text => tokenFault(text) !== undefined)) return undefined
  return texts.map(readToken)
}

function readToken(text: string): Token {
  const scope = SCOPES.find(word => text.startsWith(`${word}:`))
  return scope ? { secret: text.slice(scope.length + 1), scope } : { secret: text, scope: 'write' }
}

/** What is wrong with a token. It quotes nothing of the text but a known prefix. */
function tokenFault(text: string): string | undefined {
  const { secret } = readToken(text)
  if (secret === '') return text === '' ? 'is empty' : `has nothing behind ${text}`
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(secret)) return 'has a character that is not allowed in tokens'
  if (secret !== text || !text.includes(':')) return undefined
  return 'begins with an unknown prefix: use metrics:, read: or write: in lower case (a token with a colon needs one, such as write:)'
}

/** Says which token is wrong; undefined where that cannot be said. */
function tokenAdvice(texts: readonly string[], what: string): string | undefined {
  const faults = texts.map(text => (what === 'line' && !isNotBlank(text) ? undefined : tokenFault(text)))
  const wrong = faults.findIndex(fault => fault !== undefined)
  return wrong < 0 ? undefined : `${what} ${wrong + 1} ${faults[wrong]!}`
}

/** A whole number up to `maximum`. */
export const wholeNumber = (maximum: number): Kind<number> => ({
  placeholder: 'NUMBER',
  expected: `a whole number from 0 to ${maximum}`,
  parse: text => (/^\d{1,9}$/.test(text) && Number(text) <= maximum ? Number(text) : undefined)
})

/** One of some words, in upper or lower case. */
export const oneOf = <T extends string>(placeholder: string, ...words: readonly T[]): Kind<T> => ({
  placeholder,
  expected: `one of ${words.join(', ')}`,
  parse: text => words.find(word => word === text.toLowerCase())
})

/** The name of a header field (RFC 9110 §5.6.2), in lower case. */
export const headerName: Kind<string> = {
  placeholder: 'NAME',
  expected: 'the name of a header field, such as X-Forwarded-User',
  parse: text => (/^[\w!#$%&'*+.^`|~-]+$/.test(text) ? text.toLowerCase() : undefined)
}

/** The name of a claim of a JWT (RFC 7519 §4). */
export const claimName: Kind<string> = {
  placeholder: 'CLAIM',
  expected: 'the name of a claim, such as email',
  parse: text => text
}

/** Where requests say to which conversation they belong; none: `off`. */
export const conversationKeys: Kind<ConversationKey[]> = {
  placeholder: 'KEYS',
  isList: true,
  expected: 'header:NAME, meta:PATH or baggage:KEY, several with commas between them, or off',
  parse: text => (text === 'off' ? [] : list(conversationKeyIn)(text))
}

function conversationKeyIn(word: string): ConversationKey | undefined {
  const [, from, name = ''] = /^(header|meta|baggage):(\S+)$/.exec(word) ?? []
  if (from === 'header') {
    const field = headerName.parse(name)
    return field === undefined ? undefined : { from, name: field }
  }
  return from === 'meta' || from === 'baggage' ? { from, name } : undefined
}
