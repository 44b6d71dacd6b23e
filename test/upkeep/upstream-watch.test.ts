// Owns the upstream watch before upstreams that serve one connection at a time: it is given up, and nothing waits for it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const PYTHON = `
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.0'
    def log_message(self, *args): pass
    def do_POST(self):
        self.rfile.read(int(self.headers['content-length']))
        known = self.headers['mcp-session-id']
        self.send_response(404 if known else 200)
        if not known: self.send_header('mcp-session-id', 'S-1')
        self.send_header('content-length', '2')
        self.end_headers()
        self.wfile.write(b'{}')
http.server.HTTPServer.allow_reuse_address = True
server = http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
print(server.server_port, flush=True)
server.serve_forever()`

async function startPython(t: Test, port = 0): Promise<{ port: number; child: ChildProcess }> {
  const child = spawn('python3', ['-c', PYTHON, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { port: Number(line), child }
}

/** Serves the next connection when the one before is closed, and each request on it. */
async function startSerialNode(t: Test): Promise<number> {
  const waiting: Socket[] = []
  let serving: Socket | undefined
  const serveNext = (): void => {
    serving = waiting.shift()
    serving?.on('data', () => {
      serving?.end(
        'HTTP/1.1 200 OK\r\nConnection: close\r\nMcp-Session-Id: S-1\r\nContent-Length: 2\r\n\r\n{}'
      )
    })
    serving?.on('close', serveNext).resume()
  }
  const server = createServer(socket => {
    socket.on('error', () => undefined).pause()
    waiting.push(socket)
    if (!serving) serveNext()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function post({ proxyUrl }: Turnstile): Promise<{ status: number; tookMs: number }> {
  const startedMs = performance.now()
  const response = await fetch(`${proxyUrl}/stream/e`, { method: 'POST', body: '{}' })
  await response.arrayBuffer()
  return { status: response.status, tookMs: performance.now() - startedMs }
}

const warnings = ({ log }: Turnstile): unknown[] =>
  log.filter(({ msg }) => String(msg).includes('serves one connection at a time'))

for (const [name, start] of [
  ["Python's http.server", async (t: Test) => (await startPython(t)).port],
  ['a server on Node', startSerialNode]
] as const) {
  void t.test(`${name} serves one connection at a time: the watch is given up`, async t => {
    const turnstile = await Turnstile.start(`http://127.0.0.1:${await start(t)}`, t.testdir())
    t.teardown(() => turnstile.stop())
    while (warnings(turnstile).length === 0) {
      const { status, tookMs } = await post(turnstile)
      t.equal(status, 200)
      t.ok(tookMs < 3_000, `a request took ${tookMs} ms`)
      await sleep(20)
    }
    for (let i = 0; i < 20; i++) t.ok((await post(turnstile)).tookMs < 500)
    t.equal(warnings(turnstile).length, 1)
  })
}

void t.test('its restart is noticed by a refused connection', async t => {
  const { port, child } = await startPython(t)
  const turnstile = await Turnstile.start(`http://127.0.0.1:${port}`, t.testdir())
  t.teardown(() => turnstile.stop())
  while (warnings(turnstile).length === 0) await post(turnstile)
  await turnstile.shipped()
  t.equal(await turnstile.count('e'), 1)
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.equal((await post(turnstile)).status, 502)
  await startPython(t, port)
  while ((await turnstile.count('e')) > 0) await sleep(20)
  t.match(await turnstile.connections(), [{ reason: 'gone' }])
})

void t.test('a gateway whose first call is slow keeps its watch', async t => {
  const gateway = await startFakeGateway((request, response) => {
    if (request.headers['x-slow'] === undefined) return false
    setTimeout(() => response.writeHead(202).end(), 1_500)
    return true
  })
  t.teardown(() => gateway.stop())
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(() => turnstile.stop())
  await fetch(`${turnstile.proxyUrl}/slow`, { headers: { 'x-slow': '1' } })
  t.equal((await post(turnstile)).status, 200)
  await turnstile.shipped()
  // The connection of the first request is used up by then: the second response comes on one beside the watch.
  await sleep(4_500)
  t.equal((await post(turnstile)).status, 200)
  await sleep(300)
  gateway.sessions.clear()
  gateway.hangUp()
  while ((await turnstile.count('e')) > 0) await sleep(20)
  t.same(warnings(turnstile), [])
})
