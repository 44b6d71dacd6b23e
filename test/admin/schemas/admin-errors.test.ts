// Owns the tests of what holds for every answer: the form of errors, what they keep to themselves, security headers.
import { connect, type AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import t from 'tap'
import { CONNECTIONS, COUNT, SERIES, startAdmin } from '../../support/admin-under-test.js'
import { MemoryStore } from '../../support/memory-store.js'

void t.test('an unknown route or method is a 404 in the form of all errors', async t => {
  const { app } = startAdmin(t)
  for (const [method, url] of [
    ['GET', '/api/nothing?token=x'],
    ['POST', COUNT],
    ['GET', `${COUNT}/`],
    ['GET', '/API/connections/endpoint'],
    ['DELETE', '/']
  ] as const) {
    const response = await app.inject({ method, url })
    const message = `nothing here answers ${method} ${url.replace(/\?.*/, '')}`
    t.strictSame(response.json(), { statusCode: 404, error: 'Not Found', message })
    t.equal(response.statusCode, 404)
  }
})

void t.test('so is a path or body that cannot be read a 4xx', async t => {
  const { app } = startAdmin(t)
  const badPath = await app.inject('/%zz')
  t.match(badPath.json(), { statusCode: 400, error: 'Bad Request', message: /%zz/ })
  t.strictSame(Object.keys(badPath.json<object>()), ['statusCode', 'error', 'message'])
  await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((app.server.address() as AddressInfo).port)
  socket.end('GARBAGE\r\n\r\n')
  const answer = await text(socket)
  t.match(answer, /^HTTP\/1.1 400 /)
  t.match(JSON.parse(answer.split('\r\n\r\n')[1]!), {
    statusCode: 400,
    error: 'Bad Request',
    message: String
  })
})

void t.test('a store that fails is a 500 that keeps the cause for the log', async t => {
  const store = new MemoryStore()
  const fail = () =>
    Promise.reject(Object.assign(new Error('ER_ACCESS mysql://u:pw@db'), { code: 'ER_ACCESS' }))
  store.connections = fail
  store.counts = store.openCounts = fail
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    }
  })
  const { app } = startAdmin(t, { store, logger: pino(stream) })
  for (const [url, query, accept] of [
    [CONNECTIONS, '?endpoint_id=e', 'application/json'],
    [CONNECTIONS, '?endpoint_id=e', 'text/csv'],
    [CONNECTIONS, '?endpoint_id=e', 'application/x-ndjson'],
    [COUNT, '?endpoint_id=e', 'application/json'],
    [SERIES, '', 'text/csv'],
    [SERIES, '?endpoint_id=e', 'application/json'],
    [SERIES, '?endpoint_id=e', 'text/csv'],
    [SERIES, '?endpoint_id=e', 'application/x-ndjson']
  ] as const) {
    const response = await app.inject({ url: url + query, headers: { accept } })
    t.equal(response.statusCode, 500)
    t.equal(response.headers['content-type'], 'application/json; charset=utf-8', `${url} as ${accept}`)
    const body = response.json<{ message: string }>()
    t.match(body, {
      statusCode: 500,
      error: 'Internal Server Error',
      message: /^the query failed.*in the log, as reqId /
    })
    t.notMatch(response.body, /ER_ACCESS|mysql|pw|stack/)
    const entry = lines.splice(0).map(line => JSON.parse(line) as { reqId: string; err: { message: string } })
    t.equal(entry.length, 1, 'one line in the log')
    t.match(entry[0], { level: 50, route: url, err: { message: /ER_ACCESS/ } })
    t.ok(body.message.endsWith(entry[0]!.reqId))
  }
  t.notMatch(lines.join(), 'endpoint_id=e')
})

void t.test('no answer is stored by caches or sniffed by browsers', async t => {
  const { app } = startAdmin(t, { tokens: [{ secret: 'x', scope: 'read' }] })
  const headers = { authorization: 'Bearer x' }
  const requests = [
    ...[CONNECTIONS, COUNT, SERIES, `${COUNT}?x=1`, '/nothing', '/healthz', '/readyz', '/%zz'].map(url => ({
      url,
      headers
    })),
    { url: COUNT, headers: {} }
  ]
  for (const request of requests) {
    const response = await app.inject(request)
    const label = `${response.statusCode} ${request.url}`
    t.equal(response.headers['cache-control'], 'no-store', label)
    t.equal(response.headers['x-content-type-options'], 'nosniff', label)
    t.equal(response.headers['content-type'], 'application/json; charset=utf-8', label)
  }
})

void t.test('the log has failures in the middle of an answer, and no ids of URLs', async t => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    }
  })
  const store = new MemoryStore()
  store.series = async function* () {
    yield await Promise.resolve([
      { time: 0, endpointId: 'e', connectNum: 0, opened: 0, closed: 0, peak: null }
    ])
    throw new Error('the database went away')
  }
  const { app } = startAdmin(t, { store, logger: pino({ level: 'trace' }, stream) })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  lines.length = 0
  for (const path of [`${COUNT}?endpoint_id=secret`, '/secret', '/%zz-secret', `${COUNT}?secret=1`]) {
    await (await fetch(`${origin}${path}`)).text()
  }
  t.strictSame(lines, [])
  await t.rejects(fetch(`${origin}${SERIES}?endpoint_id=secret`).then(response => response.text()))
  t.match(lines.join(), 'the database went away')
  t.notMatch(lines.join(), 'secret')
})
