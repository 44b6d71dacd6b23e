// Owns which web pages may read the proxy's own errors: those to which the upstream opened its responses.
import t, { type Test } from 'tap'
import type { IncomingMessage } from 'node:http'
import { UpstreamCors } from '../../../src/proxy/http/upstream-cors.js'
import { requestHead, responseHead, startProxyTo } from '../../support/proxy-under-test.js'
import { connectTo, type Field, serveResponses } from '../../support/raw-http.js'

const page = 'http://localhost:6274'
const none: Field[] = []

/** The CORS fields of the proxy's 502 for a page, after the upstream answered the page once, or another one. */
async function fieldsOfError(t: Test, fields: string[], origin = page, asked = page): Promise<Field[]> {
  const server = await serveResponses(({ head }) =>
    head?.startLine.includes('/fail') ? 'no HTTP' : responseHead('200 OK', ...fields, 'Content-Length: 0')
  )
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, server.url)
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('POST /stream/a HTTP/1.1', `Origin: ${asked}`, 'Content-Length: 0'))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
  t.strictSame(
    client.reader.head?.fields.slice(0, fields.length).map(([name, value]) => `${name}: ${value}`),
    fields
  )
  client.next()
  await client.send(
    requestHead('POST /fail HTTP/1.1', ...(origin ? [`Origin: ${origin}`] : []), 'Content-Length: 0')
  )
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 502 Bad Gateway')
  return client.reader.head?.fields.filter(([name]) => /^(access-control|vary)/i.test(name)) ?? none
}

void t.test('an upstream that lets every page in', async t => {
  const fields = ['access-control-allow-origin: *', 'Access-Control-Expose-Headers: mcp-session-id, x']
  const expected = [
    ['Access-Control-Allow-Origin', '*'],
    ['Access-Control-Expose-Headers', 'mcp-session-id, x']
  ]
  t.strictSame(await fieldsOfError(t, fields), expected)
  t.strictSame(await fieldsOfError(t, fields, 'http://other'), expected)
  t.strictSame(await fieldsOfError(t, fields, ''), none, 'a client that is no page')
})

void t.test('an upstream that lets one page in', async t => {
  const fields = [
    `Access-Control-Allow-Origin: ${page}`,
    'Access-Control-Allow-Credentials: true',
    'Vary: Origin'
  ]
  t.strictSame(await fieldsOfError(t, fields), [
    ['Access-Control-Allow-Origin', page],
    ['Access-Control-Allow-Credentials', 'true'],
    ['Vary', 'Origin']
  ])
  t.strictSame(await fieldsOfError(t, fields, 'http://other'), none)
})

void t.test('an upstream that lets no page in, or another one', async t => {
  t.strictSame(await fieldsOfError(t, []), none)
  t.strictSame(await fieldsOfError(t, ['Access-Control-Allow-Origin: http://other']), none)
  t.strictSame(await fieldsOfError(t, ['Access-Control-Allow-Origin: http://other'], 'http://other'), none)
  t.strictSame(await fieldsOfError(t, [`Access-Control-Allow-Origin: ${page}, ${page}`]), none)
})

const request = (origin: string, method = 'POST'): IncomingMessage =>
  ({ method, headers: { origin } }) as unknown as IncomingMessage

void t.test('a preflight is enough to know, and takes nothing back', t => {
  const cors = new UpstreamCors()
  cors.note(request(page, 'OPTIONS'), { 'access-control-allow-origin': '*' })
  t.strictSame(cors.fieldsFor(request(page)), ['Access-Control-Allow-Origin', '*'])
  const exposing = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'x' }
  cors.note(request(page), exposing)
  cors.note(request(page, 'OPTIONS'), { 'access-control-allow-origin': '*' })
  t.equal(cors.fieldsFor(request(page)).length, 4)
  t.end()
})

void t.test('what is remembered is bounded', t => {
  const cors = new UpstreamCors()
  const note = (origin: string): void => cors.note(request(origin), { 'access-control-allow-origin': origin })
  note(page)
  note('x'.repeat(2_000))
  t.strictSame(cors.fieldsFor(request('x'.repeat(2_000))), [])
  for (let i = 0; i < 99; i++) note(`http://${i}`)
  t.equal(cors.fieldsFor(request(page)).length, 4)
  note('http://99')
  t.strictSame(cors.fieldsFor(request(page)), [])
  t.end()
})

void t.test('what OAuth clients read of the upstream passes as it is', async t => {
  const body = '{"resource":"http://gateway.example/stream/e","authorization_servers":["http://as.example"]}'
  const challenge =
    'Bearer resource_metadata="http://gateway.example/.well-known/oauth-protected-resource/stream/e"'
  const server = await serveResponses(({ head }) =>
    head?.startLine === 'GET /.well-known/oauth-protected-resource/stream/e HTTP/1.1'
      ? responseHead('200 OK', 'Content-Type: application/json', `Content-Length: ${body.length}`) + body
      : responseHead('401 Unauthorized', `WWW-Authenticate: ${challenge}`, 'Content-Length: 0')
  )
  t.teardown(() => server.close())
  const { port, observations } = await startProxyTo(t, server.url, { rewriteHost: true })
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('GET /.well-known/oauth-protected-resource/stream/e HTTP/1.1'))
  await client.done()
  t.equal(client.reader.text(), body)
  t.same(observations, [])
  client.next()
  await client.send(requestHead('POST /stream/e HTTP/1.1', 'Content-Length: 0'))
  await client.done()
  t.equal(client.reader.head?.startLine, 'HTTP/1.1 401 Unauthorized')
  t.equal(client.reader.value('www-authenticate'), challenge)
})
