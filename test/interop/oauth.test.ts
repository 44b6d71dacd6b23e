// Owns OAuth through the proxy: a FastMCP server that was told the proxy's URL leads its clients through the proxy.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import t from 'tap'
import { JWT_KEY, jwt } from '../support/jwt.js'
import { freePort } from '../support/ports.js'
import { startServerProcess } from '../support/server-process.js'
import { Turnstile } from '../support/turnstile.js'
import { protectedPythonServer, python } from './install.js'

const ISSUER = 'https://login.example'
const claims = { iss: ISSUER, sub: 'ann', client_id: 'tester', exp: Math.floor(Date.now() / 1_000) + 3_600 }

void t.test(
  'a client finds the metadata of FastMCP through the proxy, and is counted for whom its token says',
  async t => {
    const proxyPort = await freePort()
    const proxyUrl = `http://127.0.0.1:${proxyPort}`
    const server = await startServerProcess(port => ({
      file: python('fastmcp'),
      args: [protectedPythonServer, proxyUrl, String(port), JWT_KEY, ISSUER]
    }))
    t.teardown(() => server.stop())
    const flags = ['--listen', `127.0.0.1:${proxyPort}`, '--stream-path', '/mcp']
    const turnstile = await Turnstile.start(server.url, t.testdir(), flags)
    t.teardown(() => turnstile.stop())

    const refused = await fetch(`${proxyUrl}/mcp`, { method: 'POST', body: '{}' })
    t.equal(refused.status, 401)
    const challenge = refused.headers.get('www-authenticate') ?? ''
    const [, metadataUrl = ''] = /resource_metadata="([^"]*)"/.exec(challenge) ?? []
    t.equal(new URL(metadataUrl).origin, proxyUrl)
    t.match(await (await fetch(metadataUrl)).json(), {
      resource: `${proxyUrl}/mcp`,
      authorization_servers: [/^https:\/\/login\.example\/?$/]
    })
    t.equal(await turnstile.count(), 0)

    const forged = { authorization: `Bearer ${jwt({ ...claims, sub: 'mallory' })}x` }
    t.equal((await fetch(`${proxyUrl}/mcp`, { method: 'POST', headers: forged, body: '{}' })).status, 401)
    const client = new Client({ name: 'tester', version: '1' })
    const headers = { authorization: `Bearer ${jwt(claims)}` }
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${proxyUrl}/mcp`), { requestInit: { headers } })
    )
    t.match(await client.callTool({ name: 'echo', arguments: { text: 'hello' } }), {
      content: [{ text: 'hello' }]
    })
    await turnstile.shipped()
    t.match(await turnstile.connections(), [
      {
        ...{ client_name: 'tester', reason: null },
        ...{ principal: `${ISSUER}#ann`, principal_kind: 'oauth', oauth_client: 'tester' }
      }
    ])
    await client.close()
  }
)
