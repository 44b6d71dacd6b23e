// Owns that a front end written against the monitoring interface alone sees real clients of a real rmcp gateway.
import t from 'tap'
import { Gateway } from '../support/gateway.js'
import { connectClient } from '../support/sdk-clients.js'
import { type Stats, Subscriber } from '../support/subscriber.js'
import { Turnstile } from '../support/turnstile.js'

for (const [name, transports] of [
  ['gateway-rmcp3', ['streamable']],
  ['gateway-rmcp0', ['streamable', 'sse']]
] as const) {
  void t.test(`subscribers and queries tell what clients of ${name} do`, { timeout: 120_000 }, async t => {
    const gateway = await Gateway.start(name)
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), [
      '--admin-token',
      'read:reader,operator'
    ])
    const listener = await Subscriber.connect(turnstile.adminUrl, { auth: { token: 'reader' } })
    t.teardown(async () => {
      listener.close()
      await turnstile.stop()
      await gateway.stop()
    })
    const ask = async <T>(path: string, method = 'GET'): Promise<T> => {
      const headers = { authorization: 'Bearer operator' }
      return (await (await fetch(turnstile.adminUrl + path, { method, headers })).json()) as T
    }
    t.match(await listener.subscribe(), { status: 'subscribed', room: 'mcp_connections_default' })
    t.match(await listener.dataWhere(() => true), { activeConnections: 0, totalConnections: 0 })

    for (const transport of transports) {
      const endpointId = `files-${transport}`
      const client = await connectClient(turnstile.proxyUrl, transport, endpointId)
      const established = await listener.notice(
        n => n.event === 'mcp_connection_established' && n.connection.endpointId === endpointId
      )
      const { sessionId } = (established as { connection: { sessionId: string } }).connection
      t.match(established, { connection: { transport, userAgent: 'node' } })
      t.match(await listener.dataWhere(stats => stats.activeConnections === 1), {
        connections: [{ sessionId }]
      })
      t.match((await ask<Stats>('/api/mcp/connections')).connections, [{ sessionId }])
      t.match(await ask(`/api/mcp/connections/${sessionId}`), { sessionId, endpointId })
      const tools = await ask<{ name: string }[]>(`/api/mcp/tools?endpointId=${endpointId}`)
      t.ok(tools.some(tool => tool.name === 'echo'))
      t.match(await ask(`/api/mcp/status?endpointId=${endpointId}`), {
        isRunning: true,
        toolsCount: tools.length,
        connections: { active: 1, total: 1, details: [{ sessionId }] }
      })
      t.match(await ask(`/api/mcp/health?endpointId=${endpointId}`), { healthy: true, serverRunning: true })

      await client.terminate()
      const closed = await listener.notice(
        n => n.event === 'mcp_connection_closed' && n.sessionId === sessionId
      )
      t.match(closed, { duration: Number, reason: transport === 'sse' ? 'stream_end' : 'delete' })
      await listener.dataWhere(stats => stats.activeConnections === 0)
      t.equal(
        (await ask<{ error: string }>(`/api/mcp/connections/${sessionId}`)).error,
        'Connection not found'
      )

      // A legacy client comes back by itself as another session.
      if (transport === 'sse') continue
      const doomed = await connectClient(turnstile.proxyUrl, transport, endpointId)
      const [open] = (await listener.dataWhere(stats => stats.activeConnections === 1)).connections
      t.match(await ask(`/api/mcp/connections/${open!.sessionId}`, 'DELETE'), { status: 'ended' })
      t.match(
        await listener.notice(n => n.event === 'mcp_connection_closed' && n.sessionId === open!.sessionId),
        {
          reason: 'killed'
        }
      )
      await t.rejects(doomed.echo('anyone?'))
      await doomed.close()
    }
    const { endpoints } = await gateway.sessions()
    const live = Object.values(endpoints).flatMap(({ streamable, sse }) => [...streamable, ...sse])
    t.strictSame(live, [], 'the gateway has no session left, those asked for tools included')
    t.match(await ask('/api/mcp/status'), { connections: { active: 0, total: transports.length + 1 } })
  })
}
