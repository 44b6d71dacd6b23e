// Owns what is counted without a flag for paths, with the real process: ordinary servers are, OAuth and other APIs are not, and of
// sessions on other paths the log names the flag that counts them.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import t, { type Test } from 'tap'
import type { GatewayHealth } from '../../src/admin/schemas/monitoring-responses.js'
import { startEverything } from '../support/everything.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'

const clientInfo = { name: 'turnstile-test', version: '1' }

async function startTurnstile(t: Test, upstream: string, ...flags: string[]): Promise<Turnstile> {
  const directory = mkdtempSync(join(tmpdir(), 'turnstile-paths-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const turnstile = await Turnstile.start(upstream, directory, flags)
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** A server that gives a session to each POST, wherever it comes, but to `plain` paths. */
async function startServer(t: Test, plain: readonly string[] = []): Promise<string> {
  const server: Server = createServer((request, response) => {
    const isPlain = plain.includes(request.url!.split('?')[0]!)
    request.resume().once('end', () => {
      response.writeHead(200, {
        'content-type': 'application/json',
        ...(!isPlain && { 'mcp-session-id': 'b617f591-4c07' })
      })
      response.end('{}')
    })
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void t.test('an ordinary server is counted with --upstream alone, over both transports', async t => {
  const [streamable, legacy] = await Promise.all([startEverything('streamableHttp'), startEverything('sse')])
  t.teardown(() => Promise.all([streamable.stop(), legacy.stop()]))
  for (const [server, path] of [
    [streamable, '/mcp'],
    [legacy, '/sse']
  ] as const) {
    const turnstile = await startTurnstile(t, server.url)
    const client = new Client(clientInfo)
    const url = new URL(path, turnstile.proxyUrl)
    const transport =
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- legacy clients still use it, so it is counted
      path === '/sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url)
    await client.connect(transport)
    await client.listTools()
    await turnstile.shipped()
    const open = (await turnstile.connections()).filter(({ reason }) => reason === null)
    t.match(open, [{ endpoint_id: 'default', client_name: clientInfo.name }], path)
    t.equal(open.length, 1)
    t.equal(await turnstile.count(), 1)
    await client.close()
    t.notMatch(await turnstile.query<GatewayHealth>('/api/mcp/health'), { uncounted: [] })
  }
})

void t.test('OAuth and other APIs at paths that look like endpoints are no clients', async t => {
  const paths = ['/mcp/token', '/mcp/register', '/.well-known/mcp', '/api/mcp', '/v1/messages', '/token']
  const turnstile = await startTurnstile(t, await startServer(t, paths))
  const bodies: [string, string][] = [
    ['application/x-www-form-urlencoded', 'grant_type=client_credentials'],
    ['application/json', '{"redirect_uris":["http://127.0.0.1/"]}'],
    ['application/json', '{"name":"github","url":"http://127.0.0.1"}']
  ]
  for (const path of paths)
    for (const [type, body] of bodies) {
      const response = await fetch(turnstile.proxyUrl + path, {
        ...{ method: 'POST', body },
        headers: { 'content-type': type }
      })
      t.equal(response.status, 200)
      await response.text()
    }
  const call = await fetch(`${turnstile.proxyUrl}/mcp/git`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: '{"method":"tools/list","jsonrpc":"2.0","id":1}'
  })
  await call.text()
  await turnstile.shipped()
  t.equal(await turnstile.count('git'), 1, 'a session')
  t.equal(await turnstile.count(), 1)
})

void t.test(
  'a session on any other path: the log names the flag, health and metrics tell it, and the flag counts it',
  async t => {
    const upstream = await startServer(t)
    const open = async (turnstile: Turnstile): Promise<void> => {
      const response = await fetch(`${turnstile.proxyUrl}/kites/rpc/S3CRET`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
      })
      await response.text()
    }
    for (const workers of ['1', '2']) {
      const turnstile = await startTurnstile(t, upstream, '--workers', workers)
      for (let i = 0; i < 3; i++) await open(turnstile)
      t.equal(await turnstile.count(), 0)
      const { uncounted } = await turnstile.query<GatewayHealth>('/api/mcp/health')
      t.match(uncounted, [{ requests: 3 }])
      const advice = uncounted![0]!.advice
      const [, flag, value] = /^give (--stream-path) (\S+)$/.exec(advice)!
      t.ok(turnstile.log.some(({ msg }) => String(msg).endsWith(advice)))
      t.notMatch(JSON.stringify(turnstile.log), /S3CRET/)
      const { families } = await Scrape.of(turnstile.adminUrl)
      t.match(families.get('turnstile_uncounted_requests_total')?.samples, [
        { labels: { reason: 'path' }, value: 3 }
      ])
      const counting = await startTurnstile(t, upstream, flag!, value!)
      await open(counting)
      await counting.shipped()
      t.equal(await counting.count('S3CRET'), 1)
      await counting.stop()
    }
  }
)
