// Owns which gateway the proxy's own requests for a session go to.
import pino from 'pino'
import t, { type Test } from 'tap'
import { Routes } from '../../src/mcp/routes.js'
import { Upstreams } from '../../src/proxy/balancing/upstreams.js'
import { ClientCredentials } from '../../src/sessions/client-credentials.js'
import { SessionRequests } from '../../src/upkeep/session-requests.js'
import { startFakeGateway } from '../support/fake-gateway.js'

async function start(t: Test, located: string | undefined) {
  const asked: string[] = []
  const names = ['a', 'b']
  const gateways = await Promise.all(
    names.map(name =>
      startFakeGateway(request => {
        asked.push(`${name} ${request.method}`)
        return false
      })
    )
  )
  t.teardown(() => Promise.all(gateways.map(gateway => gateway.stop())))
  const settings = {
    rewriteHost: false,
    connectTimeoutMs: 1_000,
    upstreamTimeoutMs: 0,
    upstreamKeepAliveMs: 0
  }
  const upstreams = new Upstreams({
    upstreams: gateways.map(({ url }, i) => ({ name: names[i]!, url: new URL(url) })),
    ...{ ...settings, log: pino({ level: 'silent' }) }
  })
  t.teardown(() => upstreams.close())
  const routes = new Routes({ stream: '/stream/{id}', sse: '/{id}/sse', message: '/message' })
  let lookedFor = 0
  const requests = new SessionRequests({
    ...{ ...settings, upstreams, routes, credentials: new ClientCredentials(), upstreamOf: () => undefined },
    locate() {
      lookedFor++
      return Promise.resolve(located)
    }
  })
  t.teardown(() => requests.close())
  return { requests, asked, gateways, lookedFor: () => lookedFor }
}

const session = { endpointId: 'e', sessionId: 's' }

void t.test('a session is pinged at the gateway that the ledger names', async t => {
  const { requests, asked, gateways, lookedFor } = await start(t, undefined)
  gateways[1]!.sessions.add('e s')
  t.match(await requests.ping({ ...session, upstream: 'b' }), { status: 202, sessionNotFound: false })
  t.same(asked, ['b POST'])
  t.equal(lookedFor(), 0)
})

void t.test('a session that no gateway has is gone', async t => {
  const { requests } = await start(t, undefined)
  t.match(await requests.ping(session), { kind: 'ping-response', sessionNotFound: true })
  await t.rejects(requests.end(session), { code: 'UNREACHABLE_SESSION' })
})
