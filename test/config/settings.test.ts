// Owns the tests of the settings: flags, variables, defaults, and what is said of those that cannot be used.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { helpText, informationAsked } from '../../src/config/help.js'
import { ConfigError, parseCheckConfig, parseConfig } from '../../src/config/read-settings.js'
import type { Config } from '../../src/config/settings.js'

const UPSTREAM = ['--upstream', 'http://127.0.0.1:3000']
const parse = (argv: string[], env: Record<string, string | undefined> = {}): Config =>
  parseConfig([...UPSTREAM, ...argv], env)

const refuses = (t: Test, code: string, message: string | RegExp, argv: string[], env = {}) => {
  const label = JSON.stringify([argv, env])
  try {
    parseConfig(argv, env)
    t.fail(`${label} is refused`)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    t.equal(error.code, code, label)
    if (typeof message === 'string') t.equal(error.message, message)
    else t.match(error.message, message)
    t.notMatch(error.message, /[\r\n]/, 'one line')
  }
}

void t.test('defaults', t => {
  const { upstream, upstreams, ...rest } = parseConfig(UPSTREAM, {})
  t.match(upstreams, [{ name: '127.0.0.1:3000', url: { href: 'http://127.0.0.1:3000/' } }])
  t.strictSame(upstream, upstreams)
  t.strictSame(rest, {
    listen: { host: '127.0.0.1', port: 8080 },
    admin: { host: '127.0.0.1', port: 9090 },
    tlsCert: undefined,
    tlsKey: undefined,
    tls: undefined,
    otlp: undefined,
    store: { kind: 'sqlite', path: './data/turnstile.db' },
    storeFile: undefined,
    upstreamFile: undefined,
    dataDir: './data',
    streamPath: '/stream/{endpoint_id},/mcp,/mcp/{endpoint_id},/{endpoint_id}/mcp',
    ssePath: '/{endpoint_id}/sse,/sse',
    messagePath: '/message,/messages,/mcp/message,/mcp/messages',
    sessionIdleTimeoutMs: 300_000,
    streamIsUse: true,
    confirmSuspects: true,
    endIdleSessions: false,
    leaseMs: 15_000,
    retentionMs: 0,
    rollupRetentionMs: 400 * 24 * 3_600_000,
    eventRetentionMs: 24 * 3_600_000,
    upstreamTimeoutMs: 300_000,
    upstreamKeepAliveMs: 4_000,
    connectTimeoutMs: 5_000,
    drainTimeoutMs: 8_000,
    drainDelayMs: 0,
    workers: 1,
    headTimeoutMs: 60_000,
    keepAliveTimeoutMs: 72_000,
    stallTimeoutMs: 60_000,
    sseKeepAliveMs: 0,
    maxConnections: 20_000,
    maxStreams: 15_000,
    maxRequests: 5_000,
    maxSessionsPerEndpoint: 0,
    maxSessionsPerPrincipal: 0,
    whenFull: 'refuse',
    maxEndpoints: 10_000,
    maxNewSessionsPerAddress: 600,
    rewriteHost: false,
    allowedHost: undefined,
    allowedOrigin: undefined,
    trustedProxy: undefined,
    principals: 'plain',
    principalHeader: undefined,
    principalClaim: undefined,
    apiKeyHeader: 'x-api-key',
    conversationKey: [
      { from: 'meta', name: 'openai/session' },
      { from: 'meta', name: 'threadId' },
      { from: 'meta', name: 'sessionID' },
      { from: 'header', name: 'x-openhands-conversation-id' },
      { from: 'header', name: 'mcp-client-session-id' }
    ],
    adminToken: undefined,
    adminTokenFile: undefined,
    adminTlsCert: undefined,
    adminTlsKey: undefined,
    adminTlsClientCa: undefined,
    adminTls: undefined,
    adminAllowOrigin: undefined,
    mask: false,
    monitoring: true,
    webhook: undefined,
    webhookSecretFile: undefined,
    historyLimit: 100,
    accessLog: 'off',
    logLevel: 'info'
  })
  t.end()
})

void t.test('flags, with a space or an equals sign', t => {
  const config = parse([
    '--listen=[::1]:80',
    '--data-dir',
    '-x',
    '--rewrite-host',
    '--store=sqlite:a=b c.db',
    '--connect-timeout',
    '0'
  ])
  t.strictSame(config.listen, { host: '::1', port: 80 })
  t.equal(config.dataDir, '-x')
  t.equal(config.rewriteHost, true)
  t.strictSame(config.store, { kind: 'sqlite', path: 'a=b c.db' })
  t.equal(config.connectTimeoutMs, 0)
  t.equal(parse(['--rewrite-host=false']).rewriteHost, false)
  t.equal(parse(['--rewrite-host=off']).rewriteHost, false)
  t.end()
})

void t.test('a flag wins over TURNSTILE_, that over MCP_CONNECTION_, that over the default', t => {
  const env = { TURNSTILE_LOG_LEVEL: 'warn', MCP_CONNECTION_LOG_LEVEL: 'debug' }
  t.equal(parse(['--log-level', 'error'], env).logLevel, 'error')
  t.equal(parse([], env).logLevel, 'warn')
  t.equal(parse([], { ...env, TURNSTILE_LOG_LEVEL: undefined }).logLevel, 'debug')
  t.equal(parse([], { ...env, TURNSTILE_LOG_LEVEL: '' }).logLevel, 'debug', 'an empty variable is unset')
  t.equal(parse([], { MCP_CONNECTION_LOG_LEVEL: 'WARN' }).logLevel, 'warn')
  t.equal(parse(['--rewrite-host=false'], { TURNSTILE_REWRITE_HOST: 'true' }).rewriteHost, false)
  t.end()
})

void t.test('every setting has its variable', t => {
  const config = parseConfig([], {
    TURNSTILE_UPSTREAM: 'https://gateway.example/base/',
    TURNSTILE_LISTEN: '0.0.0.0:0',
    TURNSTILE_ADMIN: 'admin.example:1',
    TURNSTILE_ADMIN_TOKEN: 'token',
    TURNSTILE_STORE: 'mysql://u:p%40ss@db:3306/mcp_gateway',
    TURNSTILE_DATA_DIR: '/var/lib/turnstile',
    TURNSTILE_SESSION_IDLE_TIMEOUT: '5m',
    TURNSTILE_LEASE: '1m',
    TURNSTILE_UPSTREAM_TIMEOUT: '500ms',
    TURNSTILE_CONNECT_TIMEOUT: '1s',
    TURNSTILE_DRAIN_TIMEOUT: '0',
    TURNSTILE_REWRITE_HOST: 'yes',
    TURNSTILE_TRUSTED_PROXY: '192.0.2.1',
    TURNSTILE_LOG_LEVEL: 'silent',
    TURNSTILE_STREAM_PATH: '/mcp',
    TURNSTILE_SSE_PATH: '/{name}/events',
    TURNSTILE_MESSAGE_PATH: '/messages',
    TURNSTILE_RETENTION: '30d',
    TURNSTILE_ROLLUP_RETENTION: '8760h',
    TURNSTILE_EVENT_RETENTION: '90s',
    TURNSTILE_PORT: 'tcp://10.0.0.1:80'
  })
  t.equal(config.upstreams[0]?.url.href, 'https://gateway.example/base/')
  t.equal(config.trustedProxy?.check('192.0.2.1'), true)
  t.match(config, {
    listen: { host: '0.0.0.0', port: 0 },
    admin: { host: 'admin.example', port: 1 },
    adminToken: [{ secret: 'token', scope: 'write' }],
    store: { kind: 'mysql', url: 'mysql://u:p%40ss@db:3306/mcp_gateway' },
    dataDir: '/var/lib/turnstile',
    sessionIdleTimeoutMs: 300_000,
    leaseMs: 60_000,
    upstreamTimeoutMs: 500,
    connectTimeoutMs: 1_000,
    drainTimeoutMs: 0,
    rewriteHost: true,
    logLevel: 'silent',
    streamPath: '/mcp',
    ssePath: '/{name}/events',
    messagePath: '/messages',
    retentionMs: 30 * 24 * 3_600_000,
    rollupRetentionMs: 8_760 * 3_600_000,
    eventRetentionMs: 90_000
  })
  t.end()
})

void t.test('durations', t => {
  const idle = (text: string) => parse(['--session-idle-timeout', text]).sessionIdleTimeoutMs
  for (const [text, ms] of [
    ['300s', 300_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['500ms', 500],
    ['0', 0],
    ['0s', 0],
    ['596h', 2_145_600_000]
  ] as const) {
    t.equal(idle(text), ms, text)
  }
  for (const text of ['300', '5 m', '5M', '1d', '-5s', '1.5h', 's', '5s5', '597h', '9'.repeat(400) + 's']) {
    refuses(
      t,
      'BAD_VALUE',
      /^--session-idle-timeout ".*" cannot be used: give a time .* such as 500ms, 300s, 5m or 1h, or 0$/,
      [...UPSTREAM, '--session-idle-timeout', text]
    )
  }
  t.end()
})

void t.test('flags that are none', t => {
  refuses(t, 'UNKNOWN_FLAG', 'unknown flag "--upsteam": did you mean --upstream?', ['--upsteam', 'http://a'])
  refuses(t, 'UNKNOWN_FLAG', 'unknown flag "--idle-timeout": --help lists all flags', ['--idle-timeout=1s'])
  refuses(t, 'UNKNOWN_FLAG', 'unknown flag "--admin-tokn": did you mean --admin-token?', [
    '--admin-tokn=s3cret'
  ])
  refuses(t, 'UNKNOWN_FLAG', /--help lists all flags$/, ['--constructor', 'x'])
  refuses(t, 'UNKNOWN_FLAG', /did you mean --listen\?$/, ['--Listen', 'x'])
  refuses(
    t,
    'UNEXPECTED_ARGUMENT',
    /^unexpected argument "http:\/\/a": every setting is a flag, such as --upstream URL$/,
    ['http://a']
  )
  for (const argument of ['-u', '--', '', '--=x', 'a\nb'])
    refuses(t, 'UNEXPECTED_ARGUMENT', /^unexpected argument/, [argument])
  refuses(t, 'UNEXPECTED_ARGUMENT', /"true"/, [...UPSTREAM, '--rewrite-host', 'true'])
  t.end()
})

void t.test('flags without a value, or twice', t => {
  for (const argv of [
    ['--upstream'],
    ['--upstream='],
    ['--upstream', ''],
    ['--upstream', '--listen', 'a:1']
  ]) {
    refuses(t, 'MISSING_VALUE', '--upstream has no value: give --upstream URL', argv)
  }
  refuses(t, 'MISSING_VALUE', /^--rewrite-host has no value/, ['--rewrite-host='])
  refuses(t, 'REPEATED_FLAG', '--listen is there twice: give it once', [
    ...['--listen', 'a:1'],
    ...['--listen', 'a:1']
  ])
  const { streamPath, allowedHost } = parse([
    ...['--stream-path', '/mcp', '--stream-path', '/mcp/{server}'],
    ...['--allowed-host', 'a', '--allowed-host', 'b,c']
  ])
  t.equal(streamPath, '/mcp,/mcp/{server}', 'lists go on with each flag')
  t.same(allowedHost, ['a', 'b', 'c'])
  refuses(t, 'REPEATED_FLAG', /^--rewrite-host/, ['--rewrite-host', '--rewrite-host'])
  refuses(t, 'REQUIRED', '--upstream is missing: give --upstream URL, or set TURNSTILE_UPSTREAM', [])
  t.end()
})

void t.test('values that cannot be used', t => {
  const bad = (flag: string, message: RegExp, ...texts: string[]) => {
    for (const text of texts) {
      refuses(t, 'BAD_VALUE', message, [...(flag === '--upstream' ? [] : UPSTREAM), `${flag}=${text}`])
    }
  }
  bad(
    '--upstream',
    /^--upstream ".*" cannot be used: give an http or https URL .* such as http:\/\/127.0.0.1:3000$/,
    ...'localhost:3000|127.0.0.1|ftp://a|http:/a|http://|http:///a|http://a:99999|http://a:b'.split('|'),
    ...'http://a/?x|http://a?x=1|http://a/#x|http://a b| http://a|http://[::1|http://a\n'.split('|')
  )
  bad('--workers', /^--workers .* a whole number from 1 to 256$/, ...'0|-1|257|two'.split('|'))
  bad('--allowed-host', /^--allowed-host /, ...'a b|http://a|a/b|,a|a:b|[g::1]|a:999999|*'.split('|'))
  bad(
    '--allowed-origin',
    /^--allowed-origin /,
    ...'a|http://|http://a/|http://a?b|//a|http://a,,null'.split('|')
  )
  bad(
    '--max-streams',
    /^--max-streams ".*" cannot be used: give a whole number up to 10000000, or 0 for no limit$/,
    ...'-1|1.5|1e3|ten|10000001|99999999999'.split('|')
  )
  bad(
    '--upstream',
    /^--upstream cannot be used: give an http or https URL without user/,
    'http://u:pw@a',
    'http://u@a/'
  )
  for (const flag of ['--listen', '--admin']) {
    bad(
      flag,
      /cannot be used: give host:port with a port from 0 to 65535, such as/,
      ...'8080|:8080|a|a:|a:b|a:65536|a:-1|a:1:2|a:000080|::1:80|[::1]|[a]:80|[127.0.0.1]:80'.split('|'),
      ...'256.0.0.1:80|1.2.3:80|http://a:80|a/b:80|a b:80|*:80'.split('|')
    )
  }
  bad(
    '--store',
    /^--store cannot be used: give sqlite:PATH or mysql:\/\/user:password@host:port\/database/,
    ...'data.db|sqlite:|sqlite::memory:|sqlite://a.db|mysql:|mysql://host/db|mysql://u:p@host'.split('|'),
    ...'mysql://u:p@host/|mysql://u:p@host/a/b|mysql://u:p@host:x/db|mysql://u:p%ss@host/db'.split('|'),
    ...'mysql://u:p@ss@host/db|mysql://u:p#s@host/db|postgres://u:p@host/db'.split('|')
  )
  bad(
    '--log-level',
    /^--log-level ".*" cannot be used: give one of fatal, error, warn, info, debug, trace, silent$/,
    'loud',
    'toString'
  )
  bad('--rewrite-host', /give true or false$/, 'maybe', '2')
  for (const flag of ['--stream-path', '--sse-path', '--message-path']) {
    const isOneLine = (advice: string) => new RegExp(`^${flag} "[^\n]*" cannot be used: ${advice}[^\n]*$`)
    bad(flag, isOneLine('begin each path with a slash'), 'mcp', ',', '/a,', '/a,b', 'http://a/mcp')
    bad(flag, isOneLine('leave out spaces'), '/a b', '/x?y', '/m#', '/a\\b')
    bad(flag, isOneLine('put only one part of "/{a}/{b}" in braces'), '/{a}/{b}', '/ok,/{a}/{b}')
    bad(flag, isOneLine('write the part in braces as {id}'), '/{}', '/{+}', '/{id', '/id}', '/{a-b}')
    bad(flag, isOneLine('put {id\\+} between slashes'), '/x{id+}', '/{id+}x')
    bad(flag, isOneLine('write {server} in place of :server in "/mcp/:server"'), '/mcp/:server')
    bad(flag, isOneLine('write {id} in place of <path:id> in "/<path:id>/mcp"'), '/<path:id>/mcp')
    bad(flag, isOneLine('write {id} in place of \\[...id\\] in'), '/mcp/[...id]')
    bad(flag, isOneLine('write {id}, or {id\\+} for several segments, in place of \\*'), '/mcp/*', '/{id}/**')
    bad(flag, isOneLine('leave out \\. and \\.\\.'), '/a/../b', '/./{id}', '/a/..')
    bad(flag, isOneLine('write UTF-8'), '/%ff/{id}')
  }
  const paths = (...flags: string[]) => [...UPSTREAM, ...flags]
  refuses(
    t,
    'BAD_VALUE',
    /^--stream-path "\/mcp\/" is never reached, as --stream-path "\/mcp" takes all its paths: leave it out/,
    paths('--stream-path=/mcp,/mcp/')
  )
  refuses(
    t,
    'BAD_VALUE',
    /^--sse-path "\/mcp\/\{id\}\/sse" is never reached, as --stream-path "\/mcp\/\{path\+\}" takes all its paths: /,
    paths('--stream-path=/mcp/{path+}', '--sse-path=/mcp/{id}/sse')
  )
  t.equal(parse(['--stream-path', '/{path+}']).streamPath, '/{path+}', 'a default may be hidden')
  bad('--retention', /give a time of at least 1h/, '30', '59m', '0h', '-1d')
  bad(
    '--trusted-proxy',
    /give IP addresses or ranges, separated by commas, such as/,
    ...'proxy|10.0.0.0/33|::1/129|10.0.0|10.0.0.1,|10.0.0.0/8;::1|10.0.0.0/-1|fe80::1%eth0'.split('|')
  )
  bad('--lease', /give a time from 6s/, '0', '5s', '1d')
  refuses(t, 'BAD_VALUE', /^TURNSTILE_LISTEN "x" cannot/, UPSTREAM, { TURNSTILE_LISTEN: 'x' })
  refuses(t, 'BAD_VALUE', /^MCP_CONNECTION_LOG_LEVEL "x" cannot/, UPSTREAM, {
    MCP_CONNECTION_LOG_LEVEL: 'x'
  })
  t.end()
})

void t.test('trusted proxies', t => {
  const trusted = parse(['--trusted-proxy', '10.0.0.0/8, 192.0.2.1,2001:db8::/32,::1']).trustedProxy!
  for (const address of ['10.255.0.1', '192.0.2.1']) t.equal(trusted.check(address), true, address)
  for (const address of ['11.0.0.1', '192.0.2.2']) t.equal(trusted.check(address), false, address)
  for (const address of ['2001:db8:1::1', '::1']) t.equal(trusted.check(address, 'ipv6'), true, address)
  for (const address of ['2001:db9::1', '::2']) t.equal(trusted.check(address, 'ipv6'), false, address)
  t.equal(parse(['--trusted-proxy', '0.0.0.0/0']).trustedProxy?.check('203.0.113.9'), true)
  t.end()
})

void t.test('stores', t => {
  for (const url of [
    'mysql://mcpuser:mcppassword@localhost:3306/mcp_gateway',
    'mysql://u@h/d',
    'mysql://u:p@[::1]:1/d?ssl=%7B%7D'
  ]) {
    t.strictSame(parse(['--store', url]).store, { kind: 'mysql', url })
  }
  t.strictSame(parse(['--store', 'sqlite:/a/b.db']).store, { kind: 'sqlite', path: '/a/b.db' })
  t.end()
})

void t.test('an admin port that others can reach needs a token', t => {
  for (const host of [
    '0.0.0.0',
    '[::]',
    '192.0.2.1',
    'example.com',
    '[fe80::1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:0.0.0.0]'
  ]) {
    refuses(
      t,
      'ADMIN_TOKEN_REQUIRED',
      /^--admin can be reached from other machines: set TURNSTILE_ADMIN_TOKEN/,
      [...UPSTREAM, '--admin', `${host}:9090`]
    )
    t.equal(parse(['--admin', `${host}:9090`], { TURNSTILE_ADMIN_TOKEN: 'x' }).admin.port, 9090)
  }
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    'localhost',
    '[0:0::1]',
    '[::ffff:127.0.0.1]',
    'LOCALHOST'
  ]) {
    t.equal(parse(['--admin', `${host}:9090`]).admin.port, 9090, host)
  }
  t.end()
})

void t.test('admin tokens, their scopes, and files of them', t => {
  const file = join(
    t.testdir({ tokens: 'read:a\n\nwrite:b,c\r\n', good: 'read:a\nwrite:b:c=\r\n\n', empty: '\n' }),
    'good'
  )
  t.strictSame(parse(['--admin-token', 'read:a,metrics:m,write:b,write:c:d,read:read:,e']).adminToken, [
    { secret: 'a', scope: 'read' },
    { secret: 'm', scope: 'metrics' },
    { secret: 'b', scope: 'write' },
    { secret: 'c:d', scope: 'write' },
    { secret: 'read:', scope: 'read' },
    { secret: 'e', scope: 'write' }
  ])
  const fromFile = parse(['--admin', '0.0.0.0:1'], { TURNSTILE_ADMIN_TOKEN_FILE: file })
  t.strictSame(fromFile.adminTokenFile, [
    { secret: 'a', scope: 'read' },
    { secret: 'b:c=', scope: 'write' }
  ])
  for (const [text, fault] of [
    [',', 'token 1 is empty'],
    ['a,', 'token 2 is empty'],
    ['a, b', 'token 2 has a character that is not allowed in tokens'],
    ['ü', 'token 1 has a character that is not allowed in tokens'],
    ['a,read:', 'token 2 has nothing behind read:'],
    ['metrics:,read:a', 'token 1 has nothing behind metrics:'],
    ['write:', 'token 1 has nothing behind write:'],
    ...['READ:abc', 'Metrics:abc', 'wirte:abc', 'admin:', ':a'].map(text => [
      `a,b,${text}`,
      'token 3 begins with an unknown prefix'
    ])
  ] as [string, string][])
    refuses(t, 'BAD_VALUE', new RegExp(`^--admin-token cannot be used: ${fault}`), [
      ...UPSTREAM,
      '--admin-token',
      text
    ])
  for (const [name, fault] of [
    ['tokens', 'line 3 has a character'],
    ['empty', 'give a file'],
    ['missing', 'give a file']
  ] as const)
    refuses(t, 'BAD_VALUE', new RegExp(`^--admin-token-file ".*" cannot be used: ${fault}`), [
      ...UPSTREAM,
      '--admin-token-file',
      file.replace(/good$/, name)
    ])
  t.end()
})

void t.test('events are kept for seconds, days or ever, and a webhook needs a secret that signs', t => {
  for (const [text, ms] of [
    ['1s', 1_000],
    ['15m', 900_000],
    ['7d', 7 * 86_400_000],
    ['0', 0]
  ] as const)
    t.equal(parse(['--event-retention', text]).eventRetentionMs, ms)
  for (const text of ['0s', '500ms', '24', '-1h'])
    refuses(t, 'BAD_VALUE', /^--event-retention/, [...UPSTREAM, '--event-retention', text])

  const secret = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`
  const folder = t.testdir({
    ...{ good: `${secret(32)}\n`, short: secret(23), long: secret(65) },
    ...{ plain: 'a secret that is no base64, s3cret', bare: secret(32).slice(6), empty: '' }
  })
  const withFile = (name: string): string[] => ['--webhook-secret-file', join(folder, name)]
  const url = 'https://hooks.example.com/mcp?key=s3cret'
  const config = parse(['--webhook', url, ...withFile('good')])
  t.match(config, { webhook: url, webhookSecretFile: secret(32) })
  for (const name of ['short', 'long', 'plain', 'bare', 'empty', 'missing']) {
    const message = /^--webhook-secret-file ".*" cannot be used: give a file(?!.*s3cret)/
    refuses(t, 'BAD_VALUE', message, [...UPSTREAM, '--webhook', url, ...withFile(name)])
  }
  refuses(t, 'REQUIRED', /^--webhook .*--webhook-secret-file/, [...UPSTREAM, '--webhook', url])
  for (const bad of ['hooks.example.com', 'ftp://s3cret', 'https://u:s3cret@hooks.example.com', 'http://'])
    refuses(t, 'BAD_VALUE', /^--webhook cannot be used: give(?!.*s3cret)/, [...UPSTREAM, '--webhook', bad])
  t.end()
})

void t.test('a store from a file wins, and its text is never told', t => {
  const folder = t.testdir({ good: 'mysql://u:p%40ss@db:3306/x\n', bad: 'mysql://u:s3cret@db', empty: '' })
  const url = { kind: 'mysql', url: 'mysql://u:p%40ss@db:3306/x' }
  const good = join(folder, 'good')
  t.strictSame(parse(['--store-file', good]).store, url)
  t.strictSame(parse(['--store-file', good], { TURNSTILE_STORE: 'sqlite:/data/turnstile.db' }).store, url)
  t.strictSame(parseCheckConfig([], { TURNSTILE_STORE_FILE: good }).store, url)
  for (const name of ['bad', 'empty', 'missing']) {
    const argv = [...UPSTREAM, '--store-file', join(folder, name)]
    refuses(t, 'BAD_VALUE', /^--store-file ".*" cannot be used: give a file(?!.*s3cret)/, argv)
  }
  t.end()
})

void t.test('origins are as browsers send them', t => {
  t.strictSame(parse(['--admin-allow-origin', 'https://a.example,http://127.0.0.1:3000']).adminAllowOrigin, [
    'https://a.example',
    'http://127.0.0.1:3000'
  ])
  for (const text of ['*', 'a.example', 'https://a.example/', 'https://a.example,'])
    refuses(t, 'BAD_VALUE', /^--admin-allow-origin/, [...UPSTREAM, '--admin-allow-origin', text])
  t.end()
})

void t.test('monitoring as the gateway was told', t => {
  const env = { MCP_CONNECTION_MONITORING_ENABLED: 'false', MCP_CONNECTION_HISTORY_LIMIT: '5' }
  t.match(parse([], env), { monitoring: false, historyLimit: 5 })
  t.match(parse(['--monitoring', '--history-limit', '0'], env), { monitoring: true, historyLimit: 0 })
  refuses(t, 'BAD_VALUE', /whole number from 0 to 1000$/, [...UPSTREAM, '--history-limit', '1001'])
  t.end()
})

void t.test('secrets are in no message', t => {
  const secret = 'hunter 2'
  for (const [argv, env] of [
    [['--admin-token', secret], {}],
    [[], { TURNSTILE_ADMIN_TOKEN: secret }],
    [['--admin-token', secret, '--admin-token', secret], {}],
    [['--store', `mysql://u:${secret}@h/d`], {}],
    [['--store', secret], {}],
    [['--listen', `u:${secret}@h`], {}]
  ] as [string[], Record<string, string>][]) {
    t.throws(() => parse(argv, env), ConfigError)
    refuses(t, argv.length > 2 ? 'REPEATED_FLAG' : 'BAD_VALUE', /^(?!.*hunter)/, [...UPSTREAM, ...argv], env)
  }
  t.end()
})

void t.test('help and version', t => {
  const help = helpText()
  for (const flag of [
    'upstream URL',
    'listen HOST:PORT',
    'admin-token TOKEN',
    'session-idle-timeout TIME',
    'rewrite-host ',
    'help',
    'version'
  ]) {
    t.match(help, `  --${flag}`)
  }
  t.match(help, '(default: sqlite:./data/turnstile.db)')
  t.equal(informationAsked([...UPSTREAM, '--help']), help)
  t.equal(informationAsked(['-h', '--nonsense']), help)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.equal(informationAsked(['--version']), version)
  t.equal(informationAsked(UPSTREAM), undefined)
  t.end()
})

void t.test('several gateways', t => {
  const named = (argv: string[], env = {}): string[] =>
    parseConfig(argv, env).upstreams.map(({ name, url }) => `${name} ${url.href}`)
  const three = ['10.0.0.1:3000 http://10.0.0.1:3000/', 'b http://b/', '[::1]:443 https://[::1]/x,y']
  t.same(
    named(['--upstream', 'http://10.0.0.1:3000', '--upstream=b=http://b', '--upstream', 'https://[::1]/x,y']),
    three
  )
  t.same(named([], { TURNSTILE_UPSTREAM: 'http://10.0.0.1:3000,b=http://b, https://[::1]/x,y' }), three)
  const folder = t.testdir({
    good: '# the gateways\nhttp://a:1 # one\n\n  two=http://a:2/base\r\n',
    bad: 'http://a:1\nftp://b\n',
    empty: '# none\n'
  })
  t.same(named(['--upstream-file', `${folder}/good`]), ['a:1 http://a:1/', 'two http://a:2/base'])
  t.same(named(['--upstream', 'http://b', '--upstream-file', `${folder}/good`]), [
    ...['b:80 http://b/', 'a:1 http://a:1/', 'two http://a:2/base']
  ])
  const twice = /^--upstream.* cannot be used: two gateways are called "(a:1|x)": give one of them a name/
  refuses(t, 'BAD_VALUE', twice, ['--upstream', 'http://a:1,http://a:1/b'])
  refuses(t, 'BAD_VALUE', twice, ['--upstream', 'x=http://a:1', '--upstream', 'x=http://a:2'])
  refuses(t, 'BAD_VALUE', twice, ['--upstream', 'http://a:1', '--upstream-file', `${folder}/good`])
  refuses(t, 'BAD_VALUE', /"ftp:\/\/b" is no gateway$/, ['--upstream-file', `${folder}/bad`])
  refuses(t, 'BAD_VALUE', /it names no gateway$/, ['--upstream-file', `${folder}/empty`])
  refuses(t, 'BAD_VALUE', /ENOENT/, ['--upstream-file', `${folder}/none`])
  refuses(t, 'BAD_VALUE', /--upstream/, ['--upstream', `${'n'.repeat(129)}=http://a`])
  t.same(named(['--upstream', 'dns+http://pods:3000/base,http://a']), [
    ...['pods:3000 dns+http://pods:3000/base', 'a:80 http://a/']
  ])
  refuses(t, 'BAD_VALUE', /--upstream/, ['--upstream', 'x=dns+http://pods:3000'])
  t.end()
})
