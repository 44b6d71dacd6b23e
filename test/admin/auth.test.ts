// Owns the tests of the admin token.
import t from 'tap'
import { CONNECTIONS, COUNT, SERIES, startAdmin } from './admin.js'

const adminToken = 's3cret-~!'

void t.test('with a token set, nothing but the probes answers without it', async t => {
  const { app } = startAdmin(t, { adminToken })
  for (const url of [
    CONNECTIONS,
    COUNT,
    SERIES,
    `${SERIES}?start_time=x`,
    '/',
    '/nothing',
    '/healthz/x',
    '//healthz'
  ]) {
    for (const authorization of [
      undefined,
      '',
      adminToken,
      'Bearer',
      'Bearer ',
      'Bearer wrong',
      `Bearer ${adminToken}x`,
      `Bearer ${adminToken.slice(1)}`,
      `Bearer ${adminToken} x`,
      `Basic ${Buffer.from(`:${adminToken}`).toString('base64')}`,
      `Bearer ${'x'.repeat(10_000)}`
    ]) {
      const response = await app.inject({
        url,
        headers: authorization === undefined ? {} : { authorization }
      })
      t.equal(response.statusCode, 401, `${url} ${(authorization ?? 'nothing').slice(0, 30)}`)
      t.equal(response.headers['www-authenticate'], 'Bearer')
      t.match(response.json(), {
        statusCode: 401,
        error: 'Unauthorized',
        message: /Authorization: Bearer TOKEN/
      })
    }
  }
  for (const url of ['/healthz', '/readyz']) t.equal((await app.inject(url)).statusCode, 200, url)
})

void t.test('with the right one, in any case of the scheme, everything does', async t => {
  const { app } = startAdmin(t, { adminToken })
  for (const scheme of ['Bearer', 'bearer', 'BEARER ']) {
    const headers = { authorization: `${scheme} ${adminToken}` }
    for (const url of [CONNECTIONS, COUNT, SERIES, '/healthz']) {
      t.equal((await app.inject({ url, headers })).statusCode, 200, `${scheme} ${url}`)
    }
    t.equal((await app.inject({ url: '/nothing', headers })).statusCode, 404)
  }
})

void t.test('without a token set, none is asked for', async t => {
  const { app } = startAdmin(t)
  t.equal((await app.inject(COUNT)).statusCode, 200)
  t.equal((await app.inject({ url: COUNT, headers: { authorization: 'Bearer any' } })).statusCode, 200)
})
