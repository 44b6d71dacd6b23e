// Owns `tail`: every event once, also where the admin port was away, and nothing of strangers as a control character.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import t from 'tap'
import { MAIN, run } from '../support/command-line.js'

const event = (id: string, type: string, data: object = {}): object => ({
  ...{ specversion: '1.0', id, type: `mcp.session.${type}`, time: '2026-11-21T09:53:26.281Z' },
  data: { endpointId: 'e1', sessionId: id, clientName: 'evil\u001b[2Jclient', ...data }
})

void t.test('each event is a line', async t => {
  const answers: [status: number, body: object][] = [
    [200, { events: [], cursor: 'c0' }],
    [200, { events: [event('a', 'opened')], cursor: 'c1' }],
    [503, { message: 'the store cannot be read' }],
    [200, { events: [event('a', 'closed', { reason: 'delete', duration: 61_000 })], cursor: 'c2' }]
  ]
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(new URL(request.url!, 'http://admin').searchParams.get('after')!)
    const [status, body] = answers.shift() ?? []
    // The last one waits, as the real one does.
    if (status !== undefined) response.writeHead(status).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const child = spawn(
    process.execPath,
    [MAIN, 'tail', '--admin-url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`],
    {
      stdio: ['ignore', 'pipe', 'ignore']
    }
  )
  t.teardown(() => {
    child.kill()
    server.closeAllConnections()
    server.close()
  })
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    if (lines.length === 2) break
  }
  t.match(lines[0], /^2026-11-21T09:53:26\.281Z {2}opened {4}e1 {2}a {2}evil\ufffd\[2Jclient$/)
  t.match(lines[1], /closed .* delete after 1m1s$/)
  t.strictSame(asked.slice(0, 4), ['now', 'c0', 'c1', 'c1'])
})

void t.test('a cursor that expired ends it', async t => {
  const server = createServer((_request, response) =>
    response.writeHead(410).end(JSON.stringify({ message: 'events after this cursor are not kept any more' }))
  ).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ran = await run(['tail', '--since', 'old', '--admin-url', url])
  t.match(ran, { code: 1, stderr: /not kept any more/ })
})
