// Owns the way back of the upstream's URLs: through the proxy again, nothing doubled, and never to a stranger.
import t, { type Test } from 'tap'
import type { RoutedRequest } from '../../../src/proxy/http/routed-request.js'
import { basePathOf } from '../../../src/proxy/http/request-target.js'
import { UpstreamUrls } from '../../../src/proxy/http/upstream-urls.js'
import { requestHead, responseHead, startProxyTo } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses } from '../../support/raw-http.js'

const request = {
  req: { headers: { host: 'Client.example:8080', 'x-forwarded-host': 'public.example' } },
  target: { authority: undefined }
} as unknown as RoutedRequest

/** URLs of the upstream and what becomes of them; undefined: nothing. */
function expect(t: Test, upstream: string, urls: Record<string, string | undefined>): void {
  const url = new URL(upstream)
  const upstreamUrls = new UpstreamUrls(url, basePathOf(url))
  for (const [from, to] of Object.entries(urls)) {
    t.equal(upstreamUrls.replace(from, request), to ?? from, `${upstream}: ${from}`)
    if (to !== undefined)
      t.match(
        new URL(to, 'http://client.example:8080/e/sse').host,
        /^(client\.example:8080|public\.example)$/
      )
  }
}

void t.test('behind a base path', t => {
  expect(t, 'http://gateway:3000/base/', {
    '/base/mcp/': '/mcp/',
    '/base/message?sessionId=1&to=/base/x': '/message?sessionId=1&to=/base/x',
    '/base': '/',
    '/base?x=/y': '/?x=/y',
    '/base#x': '/#x',
    '/base/base/x': '/base/x',
    '/basement/x': undefined,
    '/message': undefined,
    '/BASE/x': undefined,
    '': undefined,
    '?x=1': undefined,
    message: undefined,
    'base/x': undefined,
    '../x': undefined,
    'http://gateway:3000/base/x?y#z': '/x?y#z',
    'HTTPS://GATEWAY:3000/base': '/',
    '//gateway:3000/base/x': '/x',
    'http://gateway:3000/x': undefined,
    'http://gateway:3000': undefined,
    'http://gateway/base/x': undefined,
    'http://client.example:8080/base/x': 'http://client.example:8080/x',
    'https://public.example/base/x': 'https://public.example/x',
    'https://public.example/x': undefined,
    'https://login.example/base/x': undefined,
    'https://gateway:3000@login.example/base/x': undefined,
    'mailto:a@b': undefined,
    'http://': undefined,
    'http://[/base/x': undefined
  })
  t.end()
})

void t.test('with Host rewritten', t => {
  expect(t, 'https://gateway', {
    'https://gateway/mcp': '/mcp',
    'https://gateway:443': '/',
    'http://gateway?x=1': '/?x=1',
    '/mcp': undefined,
    'http://client.example:8080/x': undefined,
    'https://other/x': undefined
  })
  expect(t, 'http://[::1]:3000', { 'http://[0::1]:3000/x': '/x', 'http://[::1]/x': undefined })
  t.end()
})

void t.test('no path becomes an authority', t => {
  expect(t, 'http://gateway:3000/base', {
    '/base//evil.example/x': '/.//evil.example/x',
    '/base/\\evil.example/x': '/./\\evil.example/x',
    '/base/\t/evil.example/x': '/./\t/evil.example/x',
    'http://gateway:3000/base//evil.example': '/.//evil.example',
    '//evil.example/base/x': undefined,
    '/\\evil.example/base/x': undefined,
    '/\t/evil.example/base/x': undefined,
    'http://gateway:3000\\@evil.example/base/x': undefined
  })
  expect(t, 'http://gateway:3000', { 'http://gateway:3000//evil.example': '/.//evil.example' })
  t.end()
})

for (const [title, base, rewriteHost, location, expected] of [
  ['a base path', '/base', false, '/base/mcp/', '/mcp/'],
  ['Host rewritten', '', true, 'http://HOST/mcp/', '/mcp/'],
  ['both', '/base', true, 'http://HOST/base/mcp/', '/mcp/'],
  ['neither', '', false, 'http://HOST/mcp/', 'http://HOST/mcp/']
] as const) {
  void t.test(`Location and Content-Location with ${title}`, async t => {
    const server = await serveResponses(({ head }) =>
      responseHead(
        '307 Temporary Redirect',
        `location: ${location.replace('HOST', server.url.host)}`,
        `X-Location: ${location}`,
        `Content-Location: ${location.replace('HOST', server.url.host)}`,
        `X-Target: ${head?.startLine ?? ''}`,
        'Content-Length: 0'
      )
    )
    t.teardown(() => server.close())
    const { port } = await startProxyTo(t, new URL(base, server.url), { rewriteHost })
    const client = await connectTo(port)
    t.teardown(() => client.socket.destroy())
    await client.send(requestHead('GET /mcp HTTP/1.1'))
    await client.done()
    t.strictSame(client.reader.head?.fields.slice(0, 5), [
      ['location', expected.replace('HOST', server.url.host)],
      ['X-Location', location],
      ['Content-Location', expected.replace('HOST', server.url.host)],
      ['X-Target', `GET ${base}/mcp HTTP/1.1`],
      ['Content-Length', '0']
    ])
  })
}
