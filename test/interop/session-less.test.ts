// Owns session-less clients against a real rmcp gateway that speaks all revisions at once, and against a stateless one.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Gateway } from '../support/gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { connectClient } from '../support/sdk-clients.js'
import { call } from '../support/session-less.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

async function rowsOnce(
  turnstile: Turnstile,
  isRight: (rows: ConnectionJson[]) => boolean
): Promise<ConnectionJson[]> {
  for (;;) {
    const rows = (await turnstile.connections()).reverse()
    if (isRight(rows)) return rows
    await sleep(20)
  }
}

void t.test('rmcp 3.9: clients of all revisions are counted at once', { timeout: 60_000 }, async t => {
  const gateway = await Gateway.start('gateway-rmcp3')
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--session-idle-timeout', '2s'])
  t.teardown(() => turnstile.stop())
  const url = `${turnstile.proxyUrl}/stream/e`
  const modern = { userAgent: 'modern/1', name: 'modern client' }

  const legacy = await connectClient(turnstile.proxyUrl, 'streamable', 'e')
  const discovered = await call(url, modern, 'server/discover')
  t.match(await discovered.text(), 'supportedVersions')
  for (const text of ['a', 'b']) {
    const answer = await call(url, modern, 'tools/call', { name: 'echo', arguments: { text } })
    t.match(await answer.text(), `"text":"${text}"`)
    t.equal(await legacy.echo(text), text)
  }
  const refused = await call(url, { userAgent: 'nobody' }, 'no/such')
  await refused.arrayBuffer()
  t.equal(refused.status, 404)
  const listening = new AbortController()
  const listen = await call(
    url,
    { userAgent: 'listener/1' },
    'subscriptions/listen',
    { notifications: { toolsListChanged: true } },
    listening.signal
  )
  t.equal(listen.status, 200)
  await listen.body!.getReader().read()

  const open = await rowsOnce(turnstile, rows => rows.some(row => row.request_count === 3))
  t.match(
    open.map(row => [row.transport_type, row.client_name, row.client_version, row.protocol_version]).sort(),
    [
      [2, 'turnstile-test', '1.0.0', '2025-11-25'],
      [3, 'listener/1', '1.2.3', '2026-07-28'],
      [3, 'modern client', '1.2.3', '2026-07-28']
    ]
  )
  const sessions = open.filter(row => row.transport_type === 2).map(row => row.session_id)
  t.strictSame(
    sessions,
    (await gateway.sessions()).endpoints['e']?.streamable,
    'sessions are the gateway’s own'
  )
  await legacy.terminate()
  await rowsOnce(turnstile, rows => rows.every(row => row.reason !== null || row.user_agent === 'listener/1'))
  t.equal(await turnstile.count('e'), 1, 'only who listens is left')
  listening.abort()
  const rows = await rowsOnce(turnstile, found => found.every(row => row.reason !== null))
  t.same(rows.map(row => [row.transport_type, row.reason]).sort(), [
    [2, 'delete'],
    [3, 'idle'],
    [3, 'idle']
  ])
  t.same((await gateway.sessions()).endpoints['e']?.streamable, [])
  await checkInvariant(t, turnstile)
})

void t.test(
  'stateless rmcp 3.9: an SDK client that speaks 2025-11-25 is counted',
  { timeout: 60_000 },
  async t => {
    const gateway = await Gateway.start('gateway-rmcp3', ['--stateless'])
    t.teardown(() => gateway.stop())
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--session-idle-timeout', '1s'])
    t.teardown(() => turnstile.stop())
    const client = await connectClient(turnstile.proxyUrl, 'streamable', 'e')
    t.equal(await client.echo('hello'), 'hello')
    // initialize, the notification that it is done, and the call.
    const [open, ...others] = await rowsOnce(turnstile, rows => rows[0]?.request_count === 3)
    t.same(others, [])
    t.match(open, {
      transport_type: 3,
      reason: null,
      client_name: 'turnstile-test',
      client_version: '1.0.0',
      protocol_version: '2025-11-25'
    })
    await client.close()
    const [closed] = await rowsOnce(turnstile, rows => rows[0]?.reason === 'idle')
    t.equal(Date.parse(closed!.disconnect_at) - Date.parse(closed!.last_seen_at), 1_000)
  }
)
