// Owns what a mysql:// URL says: where the server is, who asks, and the parameters after `?`, under the names that hosting
// providers and other clients give them.
import { readFileSync } from 'node:fs'
import { TurnstileError } from './errors.js'

/** How to encrypt, as mysql2 takes it. */
export interface MysqlTls {
  rejectUnauthorized: boolean
  verifyIdentity: boolean
  ca?: string
  cert?: string
  key?: string
}

/** A server, an account and a database. It holds a password: not for logs. */
export interface MysqlTarget {
  host: string
  port: number
  user: string
  password: string
  database: string
  socketPath?: string
  /** Undefined: no TLS. */
  ssl?: MysqlTls
  /** The most connections of one proxy, all its processes and threads together. */
  connectionLimit?: number
}

/** A mysql:// URL cannot be used. The message ends a sentence, says what to do, and holds no password. */
export class MysqlUrlError extends TurnstileError {
  readonly code = 'TURNSTILE_MYSQL_URL'
}

/** Chosen: far above what a server takes. */
const MAX_CONNECTION_LIMIT = 10_000
/** The port that IANA assigned to MySQL. */
const PORT = 3306

const TRUSTING = { rejectUnauthorized: false, verifyIdentity: false }
const VERIFIED = { rejectUnauthorized: true, verifyIdentity: true }

/** The modes of MySQL's own clients (MySQL 8.0 reference manual, "Command Options for Encrypted Connections"). */
const SSL_MODES: Record<string, MysqlTls | undefined> = {
  DISABLED: undefined,
  REQUIRED: TRUSTING,
  VERIFY_CA: { rejectUnauthorized: true, verifyIdentity: false },
  VERIFY_IDENTITY: VERIFIED
}
const SSL: Record<string, MysqlTls | undefined> = {
  true: VERIFIED,
  1: VERIFIED,
  false: undefined,
  0: undefined,
  '{}': VERIFIED,
  '{"rejectUnauthorized":true}': VERIFIED,
  '{"rejectUnauthorized":false}': TRUSTING
}
/** Prisma's words. */
const SSL_ACCEPT = { strict: VERIFIED, accept_invalid_certs: TRUSTING }

/** The parameters, by their names without `-`, `_` and capitals. */
const PARAMETERS: Record<string, (text: string, target: MysqlTarget) => void> = {
  sslmode: (text, target) => setTls(target, choose(SSL_MODES, text.toUpperCase().replaceAll('-', '_'))),
  ssl: (text, target) => setTls(target, choose(SSL, text.replaceAll(/\s/g, ''))),
  sslaccept: (text, target) => setTls(target, choose(SSL_ACCEPT, text)),
  sslca: (text, target) => addToTls(target, 'ca', text),
  sslcert: (text, target) => addToTls(target, 'cert', text),
  sslkey: (text, target) => addToTls(target, 'key', text),
  charset(text) {
    if (!/^utf8mb4(_\w+)?$/i.test(text)) throw new MysqlUrlError('give charset=utf8mb4, or leave it out')
  },
  connectionlimit(text, target) {
    const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0
    if (limit < 1 || limit > MAX_CONNECTION_LIMIT)
      throw new MysqlUrlError(`give connection_limit a whole number from 1 to ${MAX_CONNECTION_LIMIT}`)
    target.connectionLimit = limit
  },
  socketpath: (text, target) => (target.socketPath = text),
  socket: (text, target) => (target.socketPath = text)
}

const KNOWN = 'ssl-mode, ssl, sslaccept, ssl-ca, ssl-cert, ssl-key, charset, connection_limit, socketPath'

/** Reads `mysql://user:password@host:port/database?parameters`. Throws `MysqlUrlError`. */
export function parseMysqlUrl(text: string): MysqlTarget {
  const shape = /^mysql:\/\/[^@/?#\s]+@[^@/?#\s]+\/[^@/?#\s]+(\?[^#\s]*)?$/.test(text)
  if (!shape || !URL.canParse(text) || !isPercentEncoded(text))
    throw new MysqlUrlError(
      'give mysql://user:password@host:port/database (special characters in user and password percent-encoded)'
    )
  const url = new URL(text)
  const target: MysqlTarget = {
    host: decodeURIComponent(url.hostname.replace(/^\[|\]$/g, '')),
    port: Number(url.port || PORT),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1))
  }
  const given = new Set<string>()
  // Files come last: they belong to a mode, wherever that stands.
  const parameters = [...url.searchParams].map(([name, value]) => ({
    name,
    value,
    plain: name.replaceAll(/[-_]/g, '').toLowerCase()
  }))
  for (const { name, value, plain } of parameters.toSorted((a, b) => rankOf(a.plain) - rankOf(b.plain))) {
    const take = Object.hasOwn(PARAMETERS, plain) ? PARAMETERS[plain] : undefined
    if (!take)
      throw new MysqlUrlError(
        `the parameter ${JSON.stringify(name.slice(0, 40))} is not known: there are ${KNOWN}`
      )
    if (given.has(plain)) throw new MysqlUrlError(`the parameter ${name} is there twice: give it once`)
    given.add(plain)
    take(value, target)
  }
  return target
}

const FILES = ['sslca', 'sslcert', 'sslkey']
const rankOf = (plain: string): number => (FILES.includes(plain) ? 1 : 0)

function choose(choices: Record<string, MysqlTls | undefined>, word: string): MysqlTls | undefined {
  if (!Object.hasOwn(choices, word))
    throw new MysqlUrlError(
      `for TLS give one of ${Object.keys(choices).join(', ')}, or ssl-mode=VERIFY_IDENTITY`
    )
  return choices[word]
}

function setTls(target: MysqlTarget, tls: MysqlTls | undefined): void {
  if (tls) target.ssl = { ...tls }
}

function addToTls(target: MysqlTarget, part: 'ca' | 'cert' | 'key', path: string): void {
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    throw new MysqlUrlError(`ssl-${part} must name a file that can be read`)
  }
  // As MySQL's own clients do: who names a CA wants the certificate checked.
  target.ssl = { ...(target.ssl ?? VERIFIED), [part]: text }
  if (part === 'ca') target.ssl.rejectUnauthorized = true
}

function isPercentEncoded(text: string): boolean {
  try {
    return decodeURIComponent(text) !== ''
  } catch {
    return false
  }
}
