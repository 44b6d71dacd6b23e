// Owns the commands for operators, with the real process and its admin port: tables, JSON, exit codes.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import Type, { type TSchema } from 'typebox'
import { Check } from 'typebox/value'
import {
  ConnectionInfo,
  ConnectionStats,
  GatewayHealth,
  PrincipalInfo,
  SessionsEnded,
  UpstreamInfo
} from '../../src/admin/schemas/monitoring-responses.js'
import { ConnectionCount, ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import { Readiness } from '../../src/admin/schemas/readiness.js'
import { commands } from '../../src/terminal/commands.js'
import { run, type Ran } from '../support/command-line.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { jwt } from '../support/jwt.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

const TOKEN = 'c'.repeat(16)

const gateway = await startFakeGateway()
const turnstile = await Turnstile.start(gateway.url, t.testdir(), [
  '--admin-token',
  `read:${'r'.repeat(16)},${TOKEN}`
])
t.teardown(async () => {
  await turnstile.stop()
  await gateway.stop()
})
const env = {
  TURNSTILE_ADMIN_URL: turnstile.adminUrl,
  TURNSTILE_ADMIN_TOKEN: TOKEN,
  TURNSTILE_UPSTREAM: gateway.url
}
const ask = (...args: string[]): Promise<Ran> => run(args, env)

/** Opens a session; its id. */
async function open(endpointId: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/${encodeURIComponent(endpointId)}`, {
    ...{ method: 'POST', body: '{}' },
    headers
  })
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id')!
}

async function shipped(): Promise<void> {
  await turnstile.shipped()
}

/** The JSON that a command prints, of the form that the admin port declares. */
async function json<T>(t: Test, schema: TSchema, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await ask(...args, '--json')
  t.equal(code, 0, stderr)
  const value: unknown = JSON.parse(stdout)
  t.ok(Check(schema, value), args.join(' '))
  return value as T
}

void t.test('each command has a help of its own, which names its flags', async t => {
  const main = await run(['--help'])
  for (const [name, { settings }] of Object.entries(commands)) {
    t.match(main.stdout, `  ${name} `)
    const { code, stdout } = await run([name, '--help'])
    t.equal(code, 0)
    t.match(stdout, `Usage: mcp-turnstile ${name}`)
    for (const flag of [
      '--admin-url',
      '--token-file',
      '--json',
      ...Object.keys(settings).map(flag => `--${flag}`)
    ])
      t.match(stdout, `  ${flag}`, `${name} ${flag}`)
  }
  for (const name of ['check', 'copy']) {
    const { stdout } = await run([name, '--help'])
    t.match(stdout, `Usage: mcp-turnstile ${name}`)
    t.notMatch(stdout, '--upstream')
  }
})

void t.test('lists: as tables and as JSON', async t => {
  const ids = [
    await open('e1'),
    await open('知识库', { authorization: `Bearer ${jwt({ iss: 'https://id', sub: 'ann' })}` })
  ]
  await shipped()
  const sessions = await ask('sessions')
  t.equal(sessions.code, 0)
  t.match(sessions.stdout, /^SESSION +ENDPOINT +AGE +IDLE +REQUESTS +CLIENT/)
  for (const id of ids) t.match(sessions.stdout, id)
  t.notMatch(sessions.stdout, '\u001b', 'no colours where there is no terminal')
  const listed = await json<ConnectionInfo[]>(t, Type.Array(ConnectionInfo), 'sessions')
  t.strictSame(
    listed.map(({ sessionId }) => sessionId),
    ids.toReversed()
  )
  t.match(await json(t, Type.Array(ConnectionInfo), 'sessions', '--endpoint', '知识库'), [
    { endpointId: '知识库' }
  ])
  t.match(await json(t, Type.Array(ConnectionInfo), 'sessions', '--principal', 'https://id#ann'), [
    { sessionId: ids[1] }
  ])
  t.match(await json(t, Type.Array(ConnectionInfo), 'sessions', '--limit', '1'), [{ sessionId: ids[1] }])
  t.match(await json(t, ConnectionInfo, 'sessions', ids[0]!), { sessionId: ids[0] })
  const past = await json<ConnectionRow[]>(
    t,
    Type.Array(ConnectionRow),
    'sessions',
    '--from',
    '2020-01-01T00:00:00Z'
  )
  t.equal(past.length, 2)
  t.match(await json(t, ConnectionCount, 'count'), { endpoint_id: 'all', connect_num: 2, principal_num: 2 })
  t.equal((await ask('count', '--endpoint', 'e1')).stdout, '1 open: 1 principals, 1 conversations\n')
  t.match(await json(t, Type.Array(PrincipalInfo), 'principals'), [
    { principal: 'https://id#ann', activeConnections: 1 }
  ])
  t.match(await json(t, Type.Array(UpstreamInfo), 'upstreams'), [{ state: 'up', activeConnections: 2 }])
  t.match((await ask('upstreams')).stdout, /GATEWAY +STATE +SESSIONS/)
  const Status = Type.Object({
    health: GatewayHealth,
    readiness: Readiness,
    upstreams: Type.Array(UpstreamInfo)
  })
  t.match(await json(t, Status, 'status'), { health: { healthy: true } })
  t.match((await ask('status')).stdout, /^healthy +yes\n/)
  t.match(await json(t, ConnectionStats, 'top'), { activeConnections: 2 })
  t.match(
    (await ask('top', '--group', 'endpoint')).stdout,
    /grouped by endpoint\nNAME +SESSIONS.*\n(.*\n)*e1 +1 /
  )
})

void t.test('what strangers say of themselves cannot steer the terminal', async t => {
  await open('e2', { 'user-agent': 'evil\u009b2Jagent' })
  await shipped()
  for (const args of [['sessions'], ['sessions', '--json'], ['top']]) {
    const { stdout } = await ask(...args)
    t.match(stdout, /evil.+2Jagent/)
    t.notMatch(stdout, /[\u0080-\u009f\u001b]/, args.join(' '))
  }
})

void t.test('exit codes', async t => {
  const dead = `http://127.0.0.1:${await freePort()}`
  const tokenFile = join(t.testdir(), 'token')
  writeFileSync(tokenFile, `read:${'r'.repeat(16)}\n`)
  for (const [code, reason, args, other = {}] of [
    [1, /Connection not found/, ['sessions', 'unknown']],
    [1, /Connection not found/, ['end', 'unknown']],
    [1, /Upstream not found/, ['drain', 'unknown']],
    [2, /unknown flag "--endpoit": did you mean --endpoint\?/, ['sessions', '--endpoit', 'x']],
    [2, /usage: mcp-turnstile count$/m, ['count', 'x']],
    [2, /start_time/, ['sessions', '--from', 'yesterday']],
    [2, /give --yes/, ['end', '--endpoint', 'e1']],
    [2, /give SESSION_ID, --endpoint or --principal/, ['end']],
    [2, /--admin-url "ftp:\/\/x" cannot be used/, ['count', '--admin-url', 'ftp://x']],
    [3, /does not respond: .*ECONNREFUSED/, ['count', '--admin-url', dead]],
    [
      3,
      /wants a token: give --token-file, or set TURNSTILE_ADMIN_TOKEN/,
      ['count'],
      { TURNSTILE_ADMIN_TOKEN: '' }
    ],
    [3, /there is no admin port at/, ['count', '--admin-url', turnstile.proxyUrl]],
    [3, /token may not do that/, ['drain', 'x', '--token-file', tokenFile], { TURNSTILE_ADMIN_TOKEN: '' }]
  ] as [number, RegExp, string[], Record<string, string>?][]) {
    const ran = await run(args, { ...env, ...other })
    t.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`)
    t.match(ran.stderr, reason)
    t.match(ran.stderr, /^mcp-turnstile: [^\n]+\n$/, 'one line')
    t.equal(ran.stdout, '')
  }
  t.equal((await run(['count', '--token-file', tokenFile], { ...env, TURNSTILE_ADMIN_TOKEN: '' })).code, 0)
})

void t.test('status is a no where the gateway is away', async t => {
  const alone = await Turnstile.start(`http://127.0.0.1:${await freePort()}`, t.testdir())
  t.teardown(() => alone.stop())
  const { code, stdout } = await run(['status', '--admin-url', alone.adminUrl])
  t.equal(code, 1)
  t.match(stdout, /^healthy +no\ngateway +does not answer\n/)
})

void t.test('end: one session, or all of an endpoint', async t => {
  const [one] = [await open('end'), await open('end'), await open('end')]
  await shipped()
  t.equal((await ask('end', one)).code, 0)
  t.equal((await ask('sessions', one)).code, 1)
  const ended = await json(t, SessionsEnded, 'end', '--endpoint', 'end', '--yes')
  t.match(ended, { ended: 2, failed: [] })
})

void t.test('drain --wait returns once the gateway is safe to stop', async t => {
  const [{ name }] = await json<[{ name: string }]>(t, Type.Array(UpstreamInfo), 'upstreams')
  const id = await open('last')
  await shipped()
  const early = await ask('drain', name, '--wait', '--timeout', '1s')
  t.equal(early.code, 1)
  t.match(early.stderr, /has \d+ sessions.*\n(.*\n)*.* is not safe to stop yet\n$/)
  const waiting = ask('drain', name, '--wait')
  for (const endpoint of ['e1', 'e2', '知识库', 'last']) await ask('end', '--endpoint', endpoint, '--yes')
  t.notOk(gateway.sessions.has(`last ${id}`))
  t.match(await waiting, { code: 0, stdout: `${name} is safe to stop\n` })
  t.equal((await ask('undrain', name)).code, 0)
  t.match(await json(t, Type.Array(UpstreamInfo), 'upstreams'), [{ draining: false }])
  t.equal((await ask('drain', '--endpoint', '..')).code, 0, 'an endpoint of any name')
  t.equal((await ask('undrain', '--endpoint', '..')).code, 0)
})
