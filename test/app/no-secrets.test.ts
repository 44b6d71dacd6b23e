// Owns the proof that parts of the process hold no secret that they do not use.
import { join } from 'node:path'
import t from 'tap'
import { adminThreadData } from '../../src/app/admin-thread-host.js'
import {
  ledgerSettings,
  proxyOptions,
  sessionSettings,
  upkeepSettings,
  upstreamsSettings
} from '../../src/app/instance-settings.js'
import { parseConfig } from '../../src/config/read-settings.js'
import { Routes } from '../../src/mcp/routes.js'
import { Operations } from '../../src/metrics/operations.js'
import { Traffic } from '../../src/metrics/traffic.js'
import { Upstreams } from '../../src/proxy/balancing/upstreams.js'
import { ClientCredentials } from '../../src/sessions/client-credentials.js'
import { DroppedLines } from '../../src/util/log-lines.js'

const TOKEN = 'token-of-operators'
const STORE = 'mysql://user:password-of-store@db.example:3306/mcp_gateway'

const config = parseConfig(['--upstream', 'http://127.0.0.1:3000', '--store', STORE], {
  TURNSTILE_ADMIN_TOKEN: `read:${TOKEN}`,
  TURNSTILE_ADMIN_TOKEN_FILE: join(t.testdir({ tokens: `${TOKEN}-of-file\n` }), 'tokens'),
  TURNSTILE_TRUSTED_PROXY: '10.0.0.0/8'
})

/** Where a text is found in an object: the names that lead to it. */
function placesOf(text: string, within: unknown, path = '', seen = new Set<unknown>()): string[] {
  if (typeof within === 'string') return within.includes(text) ? [path] : []
  if (within instanceof URL) return placesOf(text, within.href, path)
  if (typeof within !== 'object' || within === null || seen.has(within)) return []
  seen.add(within)
  return Reflect.ownKeys(within).flatMap(key =>
    placesOf(text, (within as Record<PropertyKey, unknown>)[key], `${path}.${String(key)}`, seen)
  )
}

const tokensIn = (options: unknown): string[] => placesOf(TOKEN, options)
const storesIn = (options: unknown): string[] => [
  ...placesOf('password-of-store', options),
  ...placesOf('db.example', options)
]

void t.test('the search finds what is there', t => {
  t.strictSame(tokensIn(config), ['.adminToken.0.secret', '.adminTokenFile.0.secret'])
  t.strictSame(new Set(storesIn(config)), new Set(['.store.url']))
  t.end()
})

void t.test('the proxy, session tracking and upkeep hold neither tokens nor the place of the store', t => {
  const routes = new Routes({
    stream: config.streamPath,
    sse: config.ssePath,
    message: config.messagePath
  })
  const log = { error: () => undefined, warn: () => undefined, info: () => undefined }
  const upstreams = new Upstreams({ ...upstreamsSettings(config), log })
  t.teardown(() => upstreams.close())
  const ofProxy = proxyOptions(config, {
    routes,
    credentials: new ClientCredentials(),
    observe: () => undefined,
    liveSessions: () => 0,
    principalCounts: { stored: () => Promise.resolve(undefined), known: () => 0 },
    upstreams,
    upstreamOf: () => undefined,
    locate: () => Promise.resolve(undefined),
    locateTask: () => Promise.resolve(undefined),
    operations: new Operations(),
    traffic: new Traffic(),
    logger: { child: () => undefined } as never
  })
  for (const [name, options] of Object.entries({
    proxy: ofProxy,
    sessions: sessionSettings(config),
    upkeep: upkeepSettings(config)
  })) {
    t.strictSame(tokensIn(options), [], `${name}: no token`)
    t.strictSame(storesIn(options), [], `${name}: no store`)
  }
  t.end()
})

void t.test('the ledger knows the store and no token', t => {
  t.strictSame(tokensIn(ledgerSettings(config)), [])
  t.strictSame(new Set(storesIn(ledgerSettings(config))), new Set(['.store.url']))
  t.end()
})

void t.test('the admin thread shows operators neither tokens nor the place of the store', t => {
  const { monitoring, ...data } = adminThreadData(config, 'http://127.0.0.1:8080', new DroppedLines())
  t.strictSame(tokensIn(data), ['.tokens.0.secret', '.tokens.1.secret'])
  t.not(monitoring, undefined)
  t.strictSame([...tokensIn(monitoring), ...storesIn(monitoring)], [])
  t.end()
})
