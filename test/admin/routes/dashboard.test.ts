// Owns the tests of how the dashboard is served: public, as written, cached by content, or not at all.
import t from 'tap'
import { startAdmin, startMonitoring } from '../../support/admin-under-test.js'

void t.test('the page and what it loads', async t => {
  const { app } = startMonitoring(t, { tokens: [{ secret: 'token', scope: 'read' }] })
  const page = await app.inject('/')
  t.equal(page.statusCode, 200)
  t.match(page.headers, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
  t.notMatch(page.body, '{{')
  const [, base] = /src="(\/assets\/[\da-f]{16})\/dashboard\.js"/.exec(page.body)!
  const urls = new Set([...page.body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, url]) => url!))
  t.ok(urls.size >= 4)
  for (const url of urls) {
    const { statusCode, headers, body } = await app.inject(url)
    t.equal(statusCode, 200, url)
    t.match(headers, {
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      'content-security-policy': /default-src 'self'/
    })
    if (!url.endsWith('.js')) continue
    for (const [, imported] of body.matchAll(/from ['"]([^'"]+)['"]/g)) {
      t.match(imported, /^\.\/[\w.-]+\.js$/)
      urls.add(`${base!}${imported!.slice(1)}`)
    }
  }
  t.ok(urls.has(`${base!}/uplot.js`) && urls.has(`${base!}/socket.io-client.js`))
  t.equal((await app.inject({ url: '/', headers: { origin: 'http://elsewhere' } })).statusCode, 403)
  const unknown = { url: '/assets/0000000000000000/dashboard.js', headers: { authorization: 'Bearer token' } }
  t.equal((await app.inject(unknown)).statusCode, 404)
})

void t.test('without tokens it is there by loopback names only', async t => {
  const { app } = startMonitoring(t)
  t.equal((await app.inject({ url: '/', headers: { host: 'localhost:9090' } })).statusCode, 200)
  t.equal((await app.inject({ url: '/', headers: { host: 'rebound.example' } })).statusCode, 403)
})

void t.test('without monitoring it is not there', async t => {
  const { app } = startAdmin(t)
  const { statusCode, body } = await app.inject('/')
  t.equal(statusCode, 404)
  t.match(body, 'the dashboard is not served: it needs --monitoring')
})
