// Owns the tests of what operators can do, with the real process: sessions ended at the gateway, endpoints drained, the audit.
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

interface Rig {
  gateway: FakeGateway
  turnstile: Turnstile
  act: (method: string, path: string) => Promise<{ status: number; body: Record<string, unknown> }>
}

async function start(t: Test, upstream?: string, directory = t.testdir()): Promise<Rig> {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(upstream ?? gateway.url, directory)
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const act = async (method: string, path: string) => {
    const headers = { authorization: 'Bearer operator' }
    const response = await fetch(`${turnstile.adminUrl}/api/mcp/${path}`, { method, headers })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { gateway, turnstile, act }
}

async function openSession({ turnstile }: Rig, endpointId: string): Promise<string> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/${endpointId}`, { method: 'POST', body: '{}' })
  await response.text()
  return response.headers.get('mcp-session-id') ?? `refused: ${response.status}`
}

/** Once there are so many. */
async function audits({ turnstile }: Rig, count: number): Promise<Record<string, unknown>[]> {
  for (;;) {
    const found = turnstile.log.filter(line => line['audit'] === true)
    if (found.length >= count) return found
    await once(turnstile.process.stdout!, 'data')
  }
}

void t.test('a session is ended at the gateway and in the ledger', async t => {
  const rig = await start(t)
  const [id, other] = [await openSession(rig, 'e'), await openSession(rig, 'e')]
  await rig.turnstile.shipped()
  t.match(await rig.act('DELETE', `connections/${id}`), {
    status: 200,
    body: { status: 'ended', sessionId: id }
  })
  t.strictSame([...rig.gateway.sessions], [`e ${other}`])
  t.match(await rig.turnstile.connections('&endpoint_id=e'), [
    { session_id: other, reason: null },
    { session_id: id, reason: 'killed' }
  ])
  for (const path of [`connections/${id}`, 'connections/nobody']) {
    const { status, body } = await rig.act('DELETE', path)
    t.equal(status, 404)
    t.strictSame(body, { error: 'Connection not found', sessionId: path.slice('connections/'.length) })
  }
  const [audit, ...others] = await audits(rig, 1)
  t.match(audit, { level: 30, action: 'end session', endpointId: 'e', operator: 'anyone', from: '127.0.0.1' })
  t.match(audit?.['session'], new RegExp(`^${id.slice(0, 8)}-[\\da-f]{16}$`))
  t.same(others, [])
  t.notMatch(JSON.stringify(rig.turnstile.log), id, 'no id in the log')
})

void t.test('a legacy session is ended with its stream', async t => {
  const rig = await start(t)
  const response = await fetch(`${rig.turnstile.proxyUrl}/e/sse`)
  const reader = response.body!.getReader()
  const { value } = (await reader.read()) as { value: Uint8Array }
  const id = /sessionId=([\w-]+)/.exec(Buffer.from(value).toString())![1]!
  await rig.turnstile.shipped()
  t.equal((await rig.act('DELETE', `connections/${id}`)).status, 200)
  await t.rejects(async () => {
    while (!(await reader.read()).done);
  }, 'the stream is cut')
  t.match(await rig.turnstile.connections(), [{ session_id: id, reason: 'killed', transport_type: 1 }])
})

/** A gateway that gives a session and a stream of it, and answers a DELETE with `status`. */
async function startStubborn(t: Test, status: number): Promise<string> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume()
    if (request.method === 'POST')
      response
        .writeHead(200, { 'mcp-session-id': 'sid-123456', 'content-type': 'application/json' })
        .end('{}')
    else if (request.method === 'GET')
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: hello\n\n')
    else response.writeHead(status).end()
  }
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

void t.test('what the gateway does not end stays open; what it ends loses its streams', async t => {
  for (const [status, ends] of [
    [405, false],
    [500, false],
    [401, false],
    [200, true],
    [404, true]
  ] as const) {
    const rig = await start(t, await startStubborn(t, status))
    const id = await openSession(rig, 'e')
    const headers = { 'mcp-session-id': id, accept: 'text/event-stream' }
    const stream = await fetch(`${rig.turnstile.proxyUrl}/stream/e`, { headers })
    const reader = stream.body!.getReader()
    await reader.read()
    await rig.turnstile.shipped()
    const { status: answered, body } = await rig.act('DELETE', `connections/${id}`)
    t.equal(answered, ends ? 200 : 502, `${status}`)
    if (ends) await t.rejects(reader.read(), 'cut')
    else t.match(body, { error: 'Bad Gateway', message: new RegExp(`answers ${status}.*still open`) })
    t.equal(await rig.turnstile.count('e'), ends ? 0 : 1)
    await reader.cancel().catch(() => undefined)
  }
})

/** A gateway that answers only those who show its token; the ids of its sessions are stored as digests, or short. */
async function startStrict(t: Test) {
  const deletes: IncomingMessage[] = []
  const gateway = await startFakeGateway((request, response) => {
    if (request.method === 'DELETE') deletes.push(request)
    const isKnown = request.headers.authorization === 'Bearer client'
    const id = request.url!.startsWith('/stream/long') ? LONG_ID : 'sid-123456'
    response.writeHead(isKnown ? 200 : 401, request.method === 'POST' ? { 'mcp-session-id': id } : {}).end()
    return true
  })
  t.teardown(() => gateway.stop())
  return { url: gateway.url, deletes }
}

const LONG_ID = 'j'.repeat(400)

/** As a client whose requests are those of no browser: not `fetch`, which chooses `Host` and resolves the path. */
async function openAt({ turnstile }: Rig, path: string): Promise<void> {
  const { hostname, port } = new URL(turnstile.proxyUrl)
  const opening = httpRequest({ hostname, port, method: 'POST', path, headers: OWN_HEADERS }).end('{}')
  const [opened] = (await once(opening, 'response')) as [IncomingMessage]
  opened.resume()
  await turnstile.shipped()
}

const OWN_HEADERS = {
  authorization: 'Bearer client',
  host: 'gateway.test',
  'mcp-protocol-version': '2025-06-18'
}

void t.test('a session is ended as its client would, its id however long; secrets are not told', async t => {
  const { url, deletes } = await startStrict(t)
  const rig = await start(t, url)
  await openAt(rig, '/stream/long?key=k')
  const [row] = await rig.turnstile.connections()
  t.match(row?.session_id, /^sha256-/)
  const answer = await rig.act('DELETE', `connections/${row?.session_id}`)
  t.match(answer, { status: 200, body: { status: 'ended' } })
  t.match(deletes, [{ url: '/stream/long?key=k', headers: { ...OWN_HEADERS, 'mcp-session-id': LONG_ID } }])
  t.match(await rig.turnstile.connections(), [{ reason: 'killed' }])
  await audits(rig, 1)
  t.notMatch(JSON.stringify([answer, rig.turnstile.log]), /Bearer|jjjj|key=k/)
})

void t.test('where its client is not known any more, what cannot be ended stays open', async t => {
  const { url, deletes } = await startStrict(t)
  const directory = t.testdir()
  const before = await start(t, url, directory)
  for (const endpoint of ['long', 'e']) await openAt(before, `/stream/${endpoint}`)
  await before.turnstile.stop()
  const rig = await start(t, url, directory)
  t.match(await rig.act('DELETE', `connections/${LONG_ID}`), { status: 409, body: { message: /digest/ } })
  t.same(deletes, [])
  t.match(await rig.act('DELETE', 'connections/sid-123456'), {
    status: 502,
    body: { message: /answers 401.*still open/ }
  })
  t.match(deletes, [{ url: '/stream/e' }])
  t.equal(await rig.turnstile.count(), 2)
})

void t.test('an endpoint to which no URL leads is not mistaken for another path', async t => {
  for (const [segment, endpointId] of [
    ['%2e%2E', '..'],
    ['.', '.']
  ] as const) {
    const { url, deletes } = await startStrict(t)
    const directory = t.testdir()
    const before = await start(t, url, directory)
    await openAt(before, `/stream/${segment}`)
    await before.turnstile.stop()
    const rig = await start(t, url, directory)
    t.match(await rig.turnstile.connections(), [{ session_id: 'sid-123456', endpoint_id: endpointId }])
    const refusal = { status: 409, body: { error: 'Conflict', message: /no URL leads to .*"\.\.?"/ } }
    t.match(await rig.act('DELETE', 'connections/sid-123456'), refusal, segment)
    t.match(await rig.act('GET', `tools?endpointId=${endpointId}`), refusal, 'its tools')
    t.match(await rig.act('DELETE', `connections?endpointId=${endpointId}`), {
      body: { ended: 0, failed: [{ message: refusal.body.message }] }
    })
    t.match(await rig.turnstile.connections(), [{ reason: null }], 'it is open')
    t.same(deletes, [])
    t.equal((await rig.act('PUT', `endpoints/drain?endpointId=${endpointId}`)).status, 200)
    t.match((await rig.act('GET', 'endpoints')).body, [{ endpointId, draining: true }])
    t.equal((await rig.act('DELETE', `endpoints/drain?endpointId=${endpointId}`)).status, 200)
    await openAt(rig, `/stream/${segment}`)
    t.equal((await rig.act('DELETE', 'connections/sid-123456')).status, 200, 'as its client asks for it')
    t.match(deletes, [{ url: `/stream/${segment}` }])
  }
})

void t.test('all sessions of an endpoint', async t => {
  const rig = await start(t)
  for (let i = 0; i < 40; i++) await openSession(rig, 'e')
  const other = await openSession(rig, 'f')
  await rig.turnstile.shipped()
  t.match(await rig.act('DELETE', 'connections'), {
    status: 400,
    body: { message: /^endpointId is missing/ }
  })
  t.match(await rig.act('DELETE', 'connections?endpointId=e'), {
    status: 200,
    body: { status: 'ended', endpointId: 'e', ended: 40, failed: [] }
  })
  t.strictSame([...rig.gateway.sessions], [`f ${other}`])
  t.equal(await rig.turnstile.count('e'), 0)
  t.match(await audits(rig, 1), [
    { action: 'end sessions of endpoint', endpointId: 'e', ended: 40, failed: 0 }
  ])
})

void t.test('a drained endpoint takes no new sessions, and those it has go on', async t => {
  const rig = await start(t)
  const id = await openSession(rig, 'e')
  await rig.turnstile.shipped()
  t.match(await rig.act('PUT', 'endpoints/e/drain'), {
    status: 200,
    body: { status: 'draining', endpointId: 'e' }
  })
  t.same((await rig.act('GET', 'endpoints')).body, [
    { endpointId: 'e', activeConnections: 1, draining: true }
  ])
  t.equal(await openSession(rig, 'e'), 'refused: 503')
  const legacy = await fetch(`${rig.turnstile.proxyUrl}/e/sse`)
  t.equal(legacy.status, 503)
  t.match(await legacy.json(), { jsonrpc: '2.0', error: { message: /takes no new sessions/ } })
  t.notMatch(await openSession(rig, 'f'), /refused/)
  const headers = { 'mcp-session-id': id }
  const use = await fetch(`${rig.turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}', headers })
  t.equal(use.status, 202)
  t.match(await rig.act('DELETE', 'endpoints/e/drain'), { status: 200, body: { status: 'accepting' } })
  t.notMatch(await openSession(rig, 'e'), /refused/)
  t.match(await audits(rig, 2), [
    { action: 'drain endpoint', endpointId: 'e' },
    { action: 'undrain endpoint' }
  ])
})
