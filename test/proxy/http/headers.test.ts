// Owns the documented differences: what the proxy takes out of a message, and what it adds.
import { test, type Test } from 'tap'
import type { ProxyOptions } from '../../../src/proxy/proxy-server.js'
import { responseHead, startProxyTo, requestHead } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses, type Field } from '../../support/raw-http.js'

/** The fields that the upstream and the client receive. */
async function passed(
  t: Test,
  fields: string[],
  answered: string[],
  options: Partial<ProxyOptions> = {},
  base = '/'
): Promise<{ target: string | undefined; upstream: Field[]; client: Field[] }> {
  let upstream: Field[] = []
  let target: string | undefined
  const server = await serveResponses(({ head }) => {
    upstream = head?.fields ?? []
    target = head?.startLine.split(' ')[1]
    return responseHead('200 OK', ...answered, 'Content-Length: 0')
  })
  t.teardown(() => server.close())
  const { port } = await startProxyTo(t, new URL(base, server.url), options)
  const connection = await connectTo(port)
  await connection.send(requestHead('GET /x?y HTTP/1.1', ...fields))
  await connection.done()
  connection.socket.destroy()
  return { target, upstream, client: connection.reader.head?.fields ?? [] }
}

const forwarding: Field[] = [
  ['X-Forwarded-For', '127.0.0.1'],
  ['X-Forwarded-Proto', 'http'],
  ['X-Forwarded-Host', 'gateway.example:8080'],
  ['Via', '1.1 mcp-turnstile']
]

await test('hop-by-hop fields end at the proxy, in both directions', async t => {
  const hops = [
    'Connection: close, X-Hop, x-other',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'TE: gzip',
    'Upgrade: h3',
    'X-HOP: 1',
    'X-Other: 2',
    'X-Kept: 3'
  ]
  const { upstream, client } = await passed(t, hops, hops)
  t.same(upstream, [['Host', 'gateway.example:8080'], ['X-Kept', '3'], ...forwarding])
  t.same(client, [
    ['X-Kept', '3'],
    ['Content-Length', '0'],
    ['Connection', 'close']
  ])
})

await test('TE: trailers is passed on, for trailers are', async t => {
  const { upstream } = await passed(t, ['TE: gzip;q=1, trailers', 'Connection: TE'], [])
  t.same(
    upstream.filter(([name]) => name === 'TE'),
    [['TE', 'trailers']]
  )
})

await test('what proxies before this one said is kept', async t => {
  const { upstream } = await passed(
    t,
    [
      'X-Forwarded-For: 10.0.0.1',
      'x-forwarded-for: 10.0.0.2',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: public.example',
      'Via: 2 edge'
    ],
    []
  )
  t.same(upstream.slice(1), [
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'public.example'],
    ['Via', '2 edge'],
    ['X-Forwarded-For', '10.0.0.1, 10.0.0.2, 127.0.0.1'],
    ['Via', '1.1 mcp-turnstile']
  ])
})

await test('Connection does not take away what proxies before this one said', async t => {
  const said: Field[] = [
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'public.example']
  ]
  const { upstream } = await passed(
    t,
    ['Connection: x-forwarded-host, x-forwarded-proto', ...said.map(field => field.join(': '))],
    []
  )
  t.same(upstream.slice(1, 3), said)
})

for (const host of ['', 'a_b.example', '127.0.0.1:80', '[::1]:8080', '[fe80::1%25eth0]', 'a:', '%41']) {
  await test(`the Host ${host} passes as it came`, async t => {
    const server = await serveResponses(() => responseHead('200 OK', 'Content-Length: 0'))
    t.teardown(() => server.close())
    const { port } = await startProxyTo(t, server.url)
    const client = await connectTo(port)
    await client.send(`GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    await client.done()
    client.socket.destroy()
    t.equal(client.reader.head?.startLine, 'HTTP/1.1 200 OK')
  })
}

await test("rewriteHost sends the upstream's authority", async t => {
  const { upstream } = await passed(t, [], [], { rewriteHost: true })
  const [host] = upstream
  t.match(host, ['Host', /^127\.0\.0\.1:\d+$/])
  t.same(
    upstream.filter(([name]) => name === 'X-Forwarded-Host'),
    [['X-Forwarded-Host', 'gateway.example:8080']]
  )
})

await test('the base path of the upstream comes before the path', async t => {
  t.equal((await passed(t, [], [], {}, '/base')).target, '/base/x?y')
  t.equal((await passed(t, [], [], {}, '/base/of/')).target, '/base/of/x?y')
})
