// Owns gateways by DNS (`--upstream dns+http://name:port`): new sessions follow the addresses of the name, old ones stay.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

const HOSTS = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
const A = 1

/** A DNS server (RFC 1035) that has one name: `addresses` are its A records. Returns its port. */
async function startDns(t: Test, addresses: () => readonly string[]): Promise<number> {
  const server = createSocket('udp4')
  server.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5
    const found = query.readUInt16BE(end - 4) === A ? addresses() : []
    const head = Buffer.from(query.subarray(0, 12))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(found.length, 6)
    head.writeUInt32BE(0, 8)
    const answers = found.map(ip =>
      // The name of the question, type, class, a time to live of 0 s, 4 bytes of address.
      Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...ip.split('.').map(Number)])
    )
    server.send(Buffer.concat([head, query.subarray(12, end), ...answers]), port, address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return server.address().port
}

void t.test('new sessions follow the addresses of a name, old ones stay', async t => {
  const port = await freePort()
  const gateways = await Promise.all(HOSTS.map(host => startFakeGateway(undefined, port, host)))
  t.teardown(() => Promise.all(gateways.map(gateway => gateway.stop())))
  let shown = 1
  let from = 0
  const dnsPort = await startDns(t, () => HOSTS.slice(from, from + shown))
  const setServers = `import dns from 'node:dns'; dns.setServers(['127.0.0.1:${dnsPort}'])`
  const turnstile = await Turnstile.start(
    `dns+http://gateways.test:${port}`,
    t.testdir(),
    [],
    ['--import', `data:text/javascript,${encodeURIComponent(setServers)}`]
  )
  t.teardown(() => turnstile.stop())

  const post = async (headers: Record<string, string> = {}): Promise<Response> => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
    const response = await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body, headers })
    await response.arrayBuffer()
    return response
  }
  const open = async (): Promise<string> => (await post()).headers.get('mcp-session-id')!
  /** Resolves once the gateways are these, by their addresses. */
  const until = async (states: Record<string, string>): Promise<void> => {
    const names = Object.keys(states).map(host => `${host}:${port}`)
    for (;;) {
      const all = await turnstile.query<{ name: string; state: string }[]>('/api/mcp/upstreams')
      const found = Object.fromEntries(all.map(({ name, state }) => [name.replace(/:\d+$/, ''), state]))
      if (JSON.stringify(found) === JSON.stringify(states)) break
      await sleep(50)
    }
    t.pass(names.join())
  }
  const sizes = (): number[] => gateways.map(({ sessions }: FakeGateway) => sessions.size)

  await until({ '127.0.0.1': 'up' })
  const first = await open()
  const second = await open()
  t.same(sizes(), [2, 0, 0])
  shown = 3
  await until({ '127.0.0.1': 'up', '127.0.0.2': 'up', '127.0.0.3': 'up' })
  for (let i = 0; i < 4; i++) await open()
  t.same(sizes(), [2, 2, 2])
  from = 1
  shown = 2
  await until({ '127.0.0.1': 'removed', '127.0.0.2': 'up', '127.0.0.3': 'up' })
  for (let i = 0; i < 2; i++) await open()
  t.same(sizes(), [2, 3, 3])
  for (const session of [first, second]) t.equal((await post({ 'mcp-session-id': session })).status, 202)
  for (const session of [first, second])
    await fetch(`${turnstile.proxyUrl}/stream/e`, {
      method: 'DELETE',
      headers: { 'mcp-session-id': session }
    })
  await until({ '127.0.0.2': 'up', '127.0.0.3': 'up' })
})
