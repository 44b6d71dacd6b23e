// Owns `--allowed-host` and `--allowed-origin`, and the one line in the log when the upstream refuses a Host.
import { test, type Test } from 'tap'
import type { ProxyOptions } from '../../../src/proxy/proxy-server.js'
import { answer, proxyTo, upstreamFor, type ProxyUnderTest } from '../../support/proxy-under-test.js'
import { connectTo, serveAnswers } from '../../support/raw-http.js'

async function status(port: number, bytes: string): Promise<string> {
  const wire = await connectTo(port)
  await wire.send(bytes)
  await wire.done()
  wire.socket.destroy()
  return wire.reader.head!.startLine.split(' ')[1]!
}

const get = (host: string, ...fields: string[]): string =>
  [`GET /x HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n')
const from = (origin: string): string => get('a', `Origin: ${origin}`)

async function rigFor(
  t: Test,
  options: Partial<ProxyOptions>,
  startLine = '200 OK'
): Promise<ProxyUnderTest> {
  const server = await serveAnswers(() => answer(startLine, 'Content-Length: 0'))
  t.teardown(() => server.close())
  return await proxyTo(t, server.url, options)
}

await test('any Host and Origin is taken, unless told otherwise', async t => {
  const { port } = await rigFor(t, {})
  for (const bytes of [get('evil.example'), get(''), from('http://evil.example')])
    t.equal(await status(port, bytes), '200')
})

await test('hosts: names for any port, or with their port', async t => {
  const { port, logs } = await rigFor(t, { allowedHost: ['mcp.example', 'local:8080', '[::1]'] })
  for (const host of ['mcp.example', 'MCP.example:99', 'local:8080', '[::1]', '[::1]:80'])
    t.equal(await status(port, get(host)), '200', host)
  for (const host of [
    'evil.example',
    'local',
    'local:80',
    '',
    'mcp.example.evil',
    '[::2]',
    'mcp.example:80:80'
  ])
    t.equal(await status(port, get(host)), '403', host)
  t.equal(await status(port, 'GET /x HTTP/1.0\r\n\r\n'), '403', 'no Host')
  const absolute = 'GET http://evil.example/x HTTP/1.1\r\nHost: mcp.example\r\n\r\n'
  t.equal(await status(port, absolute), '403', 'the authority of the target is what counts')
  t.match(logs[0], { status: 403, msg: 'The Host is not one of --allowed-host' })
})

await test('origins', async t => {
  const { port } = await rigFor(t, { allowedOrigin: ['https://app.example', 'null'] })
  for (const origin of ['https://app.example', 'HTTPS://App.Example', 'null'])
    t.equal(await status(port, from(origin)), '200', origin)
  for (const origin of ['http://app.example', 'https://app.example:444', 'https://app.example.evil', ''])
    t.equal(await status(port, from(origin)), '403', origin)
  t.equal(await status(port, get('a')), '200', 'no Origin, so no browser')
})

await test('WebSockets of a foreign Origin', async t => {
  const server = await upstreamFor(t, () => void t.fail('not forwarded'))
  const { port } = await proxyTo(t, server.url, { allowedOrigin: ['https://app.example'] })
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Origin: http://evil.example']
  t.equal(await status(port, get('a', ...upgrade)), '403')
})

for (const startLine of ['403 Forbidden', '421 Misdirected Request']) {
  await test(`the log says once what a ${startLine} of the upstream may mean`, async t => {
    const { port, logs } = await rigFor(t, {}, startLine)
    for (let i = 0; i < 3; i++) t.equal(await status(port, get('mcp.example')), startLine.slice(0, 3))
    t.match(logs, [{ level: 40, host: 'mcp.example', msg: /set --rewrite-host$/ }])
    t.equal(logs.length, 1)
  })
}

await test('a 403 that cannot be for the Host is not told', async t => {
  const server = await serveAnswers(() => answer('403 Forbidden', 'Content-Length: 0'))
  t.teardown(() => server.close())
  const [kept, rewritten] = [
    await proxyTo(t, server.url),
    await proxyTo(t, server.url, { rewriteHost: true })
  ]
  t.equal(await status(kept.port, get(server.url.host)), '403')
  t.equal(await status(rewritten.port, get('mcp.example')), '403')
  t.same([...kept.logs, ...rewritten.logs], [])
})
