// Owns the DELETEs that the proxy sends for clients: only with the flag, only for idle sessions, and failures told once.
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const SESSIONS = 30

async function openSessions(t: Test, flags: string[], refuse = false) {
  const deletes: IncomingMessage[] = []
  const gateway = await startFakeGateway((request, response) => {
    if (request.method !== 'DELETE') return false
    deletes.push(request)
    if (refuse) response.writeHead(403).end()
    return refuse
  })
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), [
    '--session-idle-timeout',
    '1s',
    ...flags
  ])
  t.teardown(() => turnstile.stop())
  const headers = { authorization: 'Bearer token' }
  for (let i = 0; i < SESSIONS; i++)
    await fetch(`${turnstile.proxyUrl}/stream/e?key=k`, { method: 'POST', headers, body: '{}' })
  while ((await turnstile.count()) > 0) await sleep(20)
  return { gateway, turnstile, deletes }
}

void t.test('with the flag, idle sessions end in the gateway, and their rows stay idle', async t => {
  const { gateway, turnstile, deletes } = await openSessions(t, ['--end-idle-sessions'])
  while (gateway.sessions.size > 0) await sleep(10)
  t.equal(deletes.length, SESSIONS)
  t.match(deletes[0], { url: '/stream/e?key=k', headers: { authorization: 'Bearer token' } })
  await turnstile.shipped()
  t.ok((await turnstile.connections()).every(({ reason }) => reason === 'idle'))
})

void t.test('without it, nothing is sent', async t => {
  const { gateway, deletes } = await openSessions(t, [])
  await sleep(500)
  t.same(deletes, [])
  t.equal(gateway.sessions.size, SESSIONS)
})

void t.test('a gateway that refuses is told of once a second, without the ids', async t => {
  const { turnstile, deletes } = await openSessions(t, ['--end-idle-sessions'], true)
  while (deletes.length < SESSIONS) await sleep(10)
  await sleep(100)
  const warnings = turnstile.log.filter(({ msg }) => /could not be ended/.test(String(msg)))
  t.ok(warnings.length >= 1 && warnings.length <= 3)
  t.match(warnings[0], { endpointId: 'e', reason: 'the upstream responded with 403' })
  const log = JSON.stringify(turnstile.log)
  t.notOk(deletes.some(({ headers }) => log.includes(headers['mcp-session-id'] as string)))
})
