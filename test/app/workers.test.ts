// Owns `--workers`: one port, one count, one admin port; a worker that dies is replaced and its streams are lost at once.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { Turnstile } from '../support/turnstile.js'

const WORKERS = 3

async function start(t: Test, upstream: string, directory: string, flags: string[] = []): Promise<Turnstile> {
  const turnstile = await Turnstile.start(upstream, directory, ['--workers', String(WORKERS), ...flags])
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** Process ids of the workers. */
const workersOf = ({ process: { pid } }: Turnstile): number[] =>
  readFileSync(`/proc/${pid!}/task/${pid!}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** Each on a connection of its own, so that all workers get some. */
async function post(turnstile: Turnstile, method = 'POST', session?: string): Promise<Response> {
  const headers = { connection: 'close', ...(session !== undefined && { 'mcp-session-id': session }) }
  const body = method === 'POST' ? '{}' : null
  const response = await fetch(`${turnstile.proxyUrl}/stream/e`, { method, body, headers })
  await response.arrayBuffer()
  return response
}

type Stream = ReadableStreamDefaultReader<Uint8Array>

/** Legacy sessions, their first event read. */
async function openStreams(turnstile: Turnstile, count: number): Promise<Stream[]> {
  const opening = Array.from({ length: count }, async () => {
    const stream = await fetch(`${turnstile.proxyUrl}/e/sse`, { headers: { connection: 'close' } })
    const reader = stream.body!.getReader()
    await reader.read()
    return reader
  })
  return await Promise.all(opening)
}

/** Resolves once a stream is over; whether fetch takes one that breaks off for a failure depends on its version. */
async function ended(stream: Stream): Promise<void> {
  try {
    while (!(await stream.read()).done);
  } catch {
    // broken off
  }
}

void t.test('sessions opened, used and closed through any of them are counted once', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const turnstile = await start(t, gateway.url, directory)
  t.equal(workersOf(turnstile).length, WORKERS)
  const ids = await Promise.all(
    Array.from({ length: 60 }, async () => (await post(turnstile)).headers.get('mcp-session-id')!)
  )
  for (const id of ids) t.equal((await post(turnstile, 'POST', id)).status, 202)
  for (const id of ids.slice(0, 20)) t.equal((await post(turnstile, 'DELETE', id)).status, 202)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 40)
  t.equal((await turnstile.connections()).length, 60)
  await checkInvariant(t, turnstile)
  t.equal(await turnstile.stop(), 0)
  const alone = await Turnstile.start(gateway.url, directory)
  t.teardown(() => alone.stop())
  t.equal(await alone.count('e'), 40)
})

void t.test('a worker that is killed', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir())
  const streams = await openStreams(turnstile, WORKERS * 4)
  const ids = await Promise.all(
    Array.from({ length: 30 }, async () => (await post(turnstile)).headers.get('mcp-session-id'))
  )
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), streams.length + ids.length)
  const [victim] = workersOf(turnstile)
  process.kill(victim!, 'SIGKILL')
  await Promise.race(streams.map(ended))
  const lost = async (): Promise<number> =>
    (await turnstile.connections()).filter(({ reason }) => reason === 'lost').length
  while ((await lost()) === 0) await sleep(20)
  while (workersOf(turnstile).length < WORKERS) await sleep(20)
  while ((await fetch(`${turnstile.adminUrl}/readyz`)).status !== 200) await sleep(20)
  await turnstile.shipped()
  const live = gateway.sessions.size
  t.equal(await turnstile.count('e'), live, 'what the gateway still has, no more and no less')
  t.equal(await lost(), streams.length + ids.length - live)
  for (let i = 0; i < WORKERS * 2; i++) t.equal((await post(turnstile)).status, 200, 'all answer again')
  t.match(
    turnstile.log.filter(({ level }) => level === 50),
    [{ signal: 'SIGKILL', msg: 'a worker died and is started again' }]
  )
  await turnstile.shipped()
  await checkInvariant(t, turnstile)
})

void t.test('connections that a worker was handed and did not take end with it', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir())
  const [victim] = workersOf(turnstile)
  process.kill(victim!, 'SIGSTOP')
  let waiting = WORKERS * 4
  const outcomes = Array.from({ length: waiting }, async () => {
    const { status } = await post(turnstile).catch(() => ({ status: 'cut' }))
    waiting--
    return status
  })
  // The stopped worker has one of them.
  while (waiting > 1) await sleep(20)
  process.kill(victim!, 'SIGKILL')
  const statuses = await Promise.all(outcomes)
  t.same(statuses.sort(), [...Array<number>(WORKERS * 4 - 1).fill(200), 'cut'])
})

void t.test('operators reach what any of them holds', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir())
  const streams = await openStreams(turnstile, WORKERS * 2)
  await post(turnstile)
  await turnstile.shipped()
  const open = await turnstile.connections()
  t.equal(open.length, WORKERS * 2 + 1)
  for (const { session_id } of open) {
    const url = `${turnstile.adminUrl}/api/mcp/connections/${session_id}`
    t.equal((await fetch(url, { method: 'DELETE' })).status, 200)
  }
  await Promise.all(streams.map(ended))
  await turnstile.shipped()
  t.same(new Set((await turnstile.connections()).map(({ reason }) => reason)), new Set(['killed']))
  t.equal(await turnstile.count(), 0)
})

void t.test('a session is ended by those that know its client, its streams by all', async t => {
  const asked: (string | undefined)[] = []
  const gateway = await startFakeGateway(({ method, headers }, response) => {
    if (method !== 'DELETE') return false
    asked.push(headers.authorization)
    // Strangers are told nothing of sessions.
    response.writeHead(statusOf[headers.authorization!] ?? 404).end()
    return true
  })
  const statusOf: Record<string, number> = { 'Bearer old': 401, 'Bearer new': 403 }
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir())
  const url = `${turnstile.proxyUrl}/stream/e`
  const request = (method: string, authorization: string, session?: string): Promise<Response> => {
    const headers = { connection: 'close', authorization, ...(session && { 'mcp-session-id': session }) }
    return fetch(url, { method, headers })
  }
  const id = (await request('POST', 'Bearer old')).headers.get('mcp-session-id')!
  await turnstile.shipped()
  const end = async (): Promise<number> =>
    (await fetch(`${turnstile.adminUrl}/api/mcp/connections/${id}`, { method: 'DELETE' })).status
  t.equal(await end(), 502)
  t.same(asked, ['Bearer old'], 'the 404 of those that do not know it is not asked for')
  const opening = Array.from({ length: WORKERS * 2 }, () => request('GET', 'Bearer old', id))
  const streams = (await Promise.all(opening)).map(({ body }) => body!.getReader())
  await request('POST', 'Bearer new', id)
  await turnstile.shipped()
  t.equal(await end(), 502)
  t.equal(await turnstile.count('e'), 1)
  statusOf['Bearer new'] = 202
  t.equal(await end(), 200)
  await Promise.all(streams.map(ended))
  t.equal(await turnstile.count('e'), 0)
})

void t.test('a port that is taken is one line and exit code 2', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const flags = ['--workers', '2', '--listen', `127.0.0.1:${port}`]
  await t.rejects(Turnstile.start('http://127.0.0.1:1', t.testdir(), flags), /mcp-turnstile ended: 2/)
})

void t.test('the workers end with the primary, however it ends', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const turnstile = await start(t, gateway.url, t.testdir())
  const pids = workersOf(turnstile)
  t.equal(pids.length, WORKERS)
  await turnstile.kill()
  const alive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  while (pids.some(alive)) await sleep(20)
  t.pass('all ended')
})
