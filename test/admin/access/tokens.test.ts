// Owns the tests of who may ask: tokens and their scopes, guessing, foreign web pages and foreign names.
import t, { type Test } from 'tap'
import type { AdminOptions } from '../../../src/admin/admin-server.js'
import {
  CONNECTIONS,
  COUNT,
  MINUTE,
  NOW,
  SERIES,
  startAdmin,
  startMonitoring
} from '../../support/admin-under-test.js'

const secret = 's3cret-~!'
const tokens: AdminOptions['tokens'] = [
  { secret: 'reader', scope: 'read' },
  { secret, scope: 'write' }
]
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

void t.test('with a token set, nothing but the probes and the docs answers without it', async t => {
  for (const url of [
    CONNECTIONS,
    COUNT,
    SERIES,
    `${SERIES}?start_time=x`,
    '/api/mcp/status',
    '/api/mcp/connections/x',
    '/internal/connections',
    '/metrics',
    '/nothing',
    '/healthz/x',
    '//healthz'
  ]) {
    const { app } = startMonitoring(t, { tokens })
    for (const authorization of [
      undefined,
      '',
      secret,
      'Bearer',
      'Bearer ',
      'Bearer wrong',
      `Bearer ${secret}x`,
      `Bearer ${secret.slice(1)}`,
      `Bearer ${secret} x`,
      `Basic ${Buffer.from(`:${secret}`).toString('base64')}`,
      `Bearer ${'x'.repeat(10_000)}`
    ]) {
      const headers = authorization === undefined ? {} : { authorization }
      const response = await app.inject({ url, headers })
      t.equal(response.statusCode, 401, `${url} ${(authorization ?? 'nothing').slice(0, 30)}`)
      t.equal(response.headers['www-authenticate'], 'Bearer')
      t.match(response.json(), {
        statusCode: 401,
        error: 'Unauthorized',
        message: /Authorization: Bearer TOKEN/
      })
    }
  }
  const { app } = startMonitoring(t, { tokens })
  for (const url of ['/healthz', '/readyz', '/openapi.json', '/docs/', '/'])
    t.equal((await app.inject(url)).statusCode, 200, url)
})

void t.test('with the right one, in any case of the scheme, everything does', async t => {
  const { app } = startAdmin(t, { tokens })
  for (const scheme of ['Bearer', 'bearer', 'BEARER ']) {
    for (const token of ['reader', secret]) {
      const headers = { authorization: `${scheme} ${token}` }
      for (const url of [CONNECTIONS, COUNT, SERIES, '/healthz'])
        t.equal((await app.inject({ url, headers })).statusCode, 200, `${scheme} ${url}`)
      t.equal((await app.inject({ url: '/nothing', headers })).statusCode, 404)
    }
  }
})

void t.test('a token that may only read changes nothing', async t => {
  const { app, control } = startMonitoring(t, { tokens })
  const actions = [
    ['DELETE', '/api/mcp/connections/session-1'],
    ['DELETE', '/api/mcp/connections?endpointId=files'],
    ['PUT', '/api/mcp/endpoints/files/drain'],
    ['DELETE', '/api/mcp/endpoints/files/drain'],
    ['DELETE', '/api/mcp/endpoints/files'],
    ['DELETE', '/api/mcp/endpoints?endpointId=files']
  ] as const
  for (const [method, url] of actions) {
    const response = await app.inject({ method, url, headers: bearer('reader') })
    t.match(response.json(), { statusCode: 403, error: 'Forbidden', message: /may only read/ }, url)
    t.equal((await app.inject({ method, url })).statusCode, 401)
  }
  t.same(control.done, [])
  await app.inject({ method: 'PUT', url: actions[2][1], headers: bearer(secret) })
  t.same(control.done, ['drain files'])
  for (const [token, scope] of [
    ['reader', 'read'],
    [secret, 'write']
  ] as const) {
    const response = await app.inject({ url: '/api/mcp/access', headers: bearer(token) })
    t.same(response.json(), { scope })
  }
})

void t.test('a token for the metrics opens nothing else', async t => {
  const { app } = startMonitoring(t, { tokens: [...tokens, { secret: 'scraper', scope: 'metrics' }] })
  for (const token of ['scraper', 'reader', secret])
    t.equal((await app.inject({ url: '/metrics', headers: bearer(token) })).statusCode, 200, token)
  for (const url of [
    CONNECTIONS,
    COUNT,
    SERIES,
    '/api/mcp/status',
    '/internal/connections',
    '/nothing',
    '/metrics/x'
  ])
    t.equal((await app.inject({ url, headers: bearer('scraper') })).statusCode, 403, url)
  const drain = { method: 'PUT', url: '/api/mcp/endpoints/files/drain', headers: bearer('scraper') } as const
  t.match((await app.inject(drain)).json(), { statusCode: 403, message: /only metrics/ })
})

void t.test('without a token set, none is asked for', async t => {
  const { app } = startAdmin(t)
  t.equal((await app.inject(COUNT)).statusCode, 200)
  t.same((await startMonitoring(t).app.inject('/api/mcp/access')).json(), { scope: 'write' })
  t.equal((await app.inject({ url: COUNT, headers: bearer('any') })).statusCode, 200)
})

void t.test('ten wrong tokens, and the peer is refused for a minute; others are not', async t => {
  let now = NOW
  const { app } = startAdmin(t, { tokens, elapsed: () => now })
  const status = async (token: string | undefined, remoteAddress: string) =>
    (await app.inject({ url: COUNT, remoteAddress, headers: token === undefined ? {} : bearer(token) }))
      .statusCode
  for (let i = 0; i < 10; i++) t.equal(await status(`guess-${i}`, '192.0.2.1'), 401)
  const refused = await app.inject({ url: COUNT, remoteAddress: '192.0.2.1', headers: bearer(secret) })
  t.match(refused.json(), { statusCode: 429, error: 'Too Many Requests', message: /try again in 60 s/ })
  t.equal(refused.headers['retry-after'], '60')
  t.equal(await status(undefined, '192.0.2.1'), 401, 'who shows none does not guess')
  t.equal(await status(secret, '192.0.2.2'), 200)
  now += MINUTE
  t.equal(await status(secret, '192.0.2.1'), 200)
  for (let i = 0; i < 9; i++) t.equal(await status('wrong', '2001:db8::1'), 401)
  t.equal(await status('wrong', '2001:db8:0:0:5::2'), 401)
  t.equal(await status(secret, '2001:db8::9'), 429, 'who has one address of a /64 has all')
  t.equal(await status(secret, '2001:db8:0:1::9'), 200)
})

void t.test('guessing from very many addresses takes a bounded memory', async t => {
  const { app } = startAdmin(t, { tokens })
  const guess = (i: number) => {
    const remoteAddress = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
    return app.inject({ url: COUNT, remoteAddress, headers: bearer('wrong') })
  }
  for (let i = 0; i < 10; i++) await guess(0)
  t.equal((await guess(0)).statusCode, 429)
  for (let i = 1; i <= 10_000; i++) await guess(i)
  t.equal((await guess(0)).statusCode, 401, 'the first of more than ten thousand is forgotten')
})

const sent = async (t: Test, options: Partial<AdminOptions>, headers: Record<string, string>) =>
  await startAdmin(t, options).app.inject({ url: COUNT, headers })

void t.test('without a token only loopback names are answered: no DNS rebinding', async t => {
  for (const host of ['localhost', 'LOCALHOST:9090', '127.0.0.1:9090', '127.8.8.8', '[::1]:9090'])
    t.equal((await sent(t, {}, { host })).statusCode, 200, host)
  for (const host of [
    'evil.example',
    'localhost.evil.example:9090',
    '127.0.0.1.evil.example',
    '[::2]',
    '192.0.2.1'
  ]) {
    const response = await sent(t, {}, { host })
    t.match(response.json(), { statusCode: 403, message: /loopback names only.*--admin-token/ }, host)
    t.equal((await sent(t, { tokens }, { host, ...bearer('reader') })).statusCode, 200)
  }
})

void t.test('web pages of other origins are refused unless they are named', async t => {
  const host = '127.0.0.1:9090'
  t.equal((await sent(t, {}, { host, origin: 'http://127.0.0.1:9090' })).statusCode, 200, 'its own')
  for (const origin of ['http://evil.example', 'http://127.0.0.1:9091', 'null', 'x']) {
    const response = await sent(t, {}, { host, origin })
    t.match(response.json(), { statusCode: 403, message: /--admin-allow-origin/ }, origin)
    t.equal(response.headers['access-control-allow-origin'], undefined)
  }
  const allowedOrigins = ['https://ops.example']
  const origin = 'https://ops.example'
  const allowed = await sent(t, { allowedOrigins }, { host, origin })
  t.equal(allowed.statusCode, 200)
  t.equal(allowed.headers['access-control-allow-origin'], origin)
  t.equal((await sent(t, { allowedOrigins }, { host, origin: 'https://evil.example' })).statusCode, 403)

  const { app } = startAdmin(t, { tokens, allowedOrigins })
  const preflight = await app.inject({
    method: 'OPTIONS',
    url: '/api/mcp/connections/x',
    headers: {
      host,
      origin,
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'authorization'
    }
  })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': /DELETE/,
    'access-control-allow-headers': 'authorization'
  })
})

void t.test('what a page of another site links to or embeds is refused, unless it is public', async t => {
  const { app } = startMonitoring(t, { tokens: [], allowedOrigins: ['https://ops.example'] })
  const host = '127.0.0.1:9090'
  const status = async (url: string, headers: Record<string, string>) => {
    const response = await app.inject({ url, headers: { host, ...headers } })
    t.equal(response.headers['cross-origin-resource-policy'], 'same-origin', url)
    return response.statusCode
  }
  const data = [
    CONNECTIONS,
    COUNT,
    '/api/mcp/status',
    '/api/mcp/tools',
    '/metrics',
    '/internal/connections',
    '/nothing'
  ]
  for (const site of ['cross-site', 'same-site', 'x']) {
    for (const mode of ['navigate', 'no-cors', 'cors']) {
      const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': mode }
      for (const url of data) t.equal(await status(url, headers), 403, `${site} ${mode} ${url}`)
      for (const url of ['/healthz', '/readyz', '/openapi.json', '/docs', '/'])
        t.equal(await status(url, headers), 200, `${url} holds no data`)
    }
    t.equal(
      await status(COUNT, { 'sec-fetch-site': site, origin: 'https://ops.example' }),
      200,
      'a page that is named'
    )
  }
  for (const site of ['same-origin', 'none']) t.equal(await status(COUNT, { 'sec-fetch-site': site }), 200)
})
