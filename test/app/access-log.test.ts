// Owns the access log end to end: a line for each request, what it holds and what it must not, and rotation, with workers too.
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const failed = '{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}'
const gateway = await startFakeGateway(({ headers }, response) => {
  if (headers['x-reply'] !== 'failed') return false
  response.writeHead(200, { 'content-type': 'application/json' }).end(failed)
  return true
})
t.teardown(() => gateway.stop())

type Line = Record<string, string | number | null>

/** The lines of a file, once there are so many. */
async function linesOf(path: string, count: number): Promise<Line[]> {
  for (;;) {
    const text = readable(path)
    const lines = text.split('\n').slice(0, -1)
    if (lines.length >= count) return lines.map(line => JSON.parse(line) as Line)
    await sleep(20)
  }
}

function readable(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function start(t: Test, flags: string[] = [], directory = t.testdir()) {
  const path = join(directory, 'access.log')
  const turnstile = await Turnstile.start(gateway.url, directory, ['--access-log', path, ...flags])
  t.teardown(() => turnstile.stop())
  return { turnstile, path, url: `${turnstile.proxyUrl}/stream/e` }
}

const post = (url: string, method: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name: 'tool\n1' } })
  })

void t.test('a line for each request, whatever became of it, without what is secret', async t => {
  const { turnstile, path, url } = await start(t, ['--max-sessions-per-endpoint', '1'])
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const opened = await post(url, 'initialize', { authorization: 'Bearer secret-token' })
  const id = opened.headers.get('mcp-session-id')!
  await opened.text()
  const more = {
    traceparent: `00-${trace}-00f067aa0ba902b7-01`,
    'x-request-id': 'req-7',
    'x-reply': 'failed'
  }
  await (await post(url, 'tools/call', { 'mcp-session-id': id, ...more })).text()
  await (await post(url, 'initialize', { 'x-request-id': 'not one, but two' })).text()
  await (await fetch(`${turnstile.proxyUrl}/elsewhere?token=secret-token`)).text()
  const [one, two, three, four, ...others] = await linesOf(path, 4)
  t.same(others, [])
  t.match(one, {
    time: /^\d{4}-\d\d-\d\dT/,
    requestId: /^[0-9a-f-]{36}$/,
    ...{ endpoint: 'e', upstream: new URL(gateway.url).host, principal: /^key-masked-[0-9a-f]{16}$/ },
    ...{ httpMethod: 'POST', path: '/stream/e', method: 'initialize', tool: null, status: 200, error: null },
    traceId: null
  })
  t.match(two, {
    ...{
      requestId: 'req-7',
      method: 'tools/call',
      tool: 'tool\n1',
      status: 200,
      error: 'result',
      traceId: trace
    },
    ...{ session: one!['session'], principal: null }
  })
  for (const name of ['bytesIn', 'bytesOut']) t.ok(Number(two![name]) > failed.length, name)
  t.type(two!['durationMs'], 'number')
  t.match(three, {
    endpoint: 'e',
    session: null,
    status: 503,
    error: 'refused',
    requestId: /^[0-9a-f-]{36}$/
  })
  t.match(four, { endpoint: null, path: '/{…}', httpMethod: 'GET', status: 404, error: 'http' })
  const text = readable(path)
  for (const secret of [id, 'secret-token']) t.notMatch(text, secret)
  let [row] = await turnstile.connections()
  // What came of a request is stored a little after its line.
  for (; row?.error_count === 0; [row] = await turnstile.connections()) await sleep(20)
  t.equal(row?.error_count, 1)
})

void t.test('a file that has another name since is opened again on SIGHUP, by every process', async t => {
  for (const workers of ['1', '2']) {
    const { turnstile, path, url } = await start(t, ['--workers', workers], t.testdir({}))
    const ask = async (times: number): Promise<void> => {
      // Each on a connection of its own, so that every worker gets some.
      for (let i = 0; i < times; i++) await (await post(url, 'ping', { connection: 'close' })).text()
    }
    const before = `${path}.${workers}`
    await ask(4)
    await linesOf(path, 4)
    renameSync(path, before)
    turnstile.process.kill('SIGHUP')
    let sent = 0
    while (!readable(path).includes('\n')) {
      await ask(4)
      sent += 4
    }
    await ask(8)
    const isThere = (): number =>
      [before, path].flatMap(file => readable(file).split('\n').slice(0, -1)).length
    while (isThere() < 4 + sent + 8) await sleep(20)
    const masked = [before, path].flatMap(file => readable(file).match(/"session":"[^"]+"/g) ?? [])
    t.equal(new Set(masked).size, 4 + sent + 8, 'each of a session of its own')
    const seen = readable(path)
    await ask(4)
    await linesOf(path, seen.split('\n').length - 1 + 4)
    t.equal(await turnstile.stop(), 0)
  }
})

void t.test('a file that cannot be opened stops the start', async t => {
  const directory = t.testdir()
  const flags = ['--access-log', join(directory, 'no', 'such', 'folder')]
  await t.rejects(Turnstile.start(gateway.url, directory, flags), /ended: 2/)
})
