// Owns the test of an admin port on a name with two addresses, as localhost often has: both serve the same, Socket.IO too.
import dns from 'node:dns'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { startMonitoring } from '../support/admin-under-test.js'
import { Subscriber } from '../support/subscriber.js'

/** Another address of loopback that this machine has. */
const other =
  Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .find(({ internal, family }) => internal && family === 'IPv6')?.address ?? '127.0.0.2'

void t.test('each address of localhost answers, by each transport of Socket.IO', async t => {
  const families = { '127.0.0.1': 4, [other]: other.includes(':') ? 6 : 4 }
  const addresses = Object.entries(families).map(([address, family]) => ({ address, family }))
  const { lookup } = dns
  t.teardown(() => Object.assign(dns, { lookup }))
  // What the name stands for differs by machine.
  const answer = (name: string, ...rest: unknown[]): void => {
    if (name !== 'localhost') return void Reflect.apply(lookup, dns, [name, ...rest])
    const done = rest.pop() as (error: null, ...result: unknown[]) => void
    if (rest.length > 0) done(null, addresses)
    else done(null, addresses[0]!.address, addresses[0]!.family)
  }
  Object.assign(dns, { lookup: answer })

  const { app } = startMonitoring(t)
  await app.listen({ host: 'localhost', port: 0 })
  const listeners = app.addresses().filter((address): address is AddressInfo => typeof address !== 'string')
  t.strictSame(new Set(listeners.map(({ address }) => address)), new Set(['127.0.0.1', other]))
  for (const { address, port } of listeners) {
    const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}`
    t.equal((await fetch(`${url}/healthz`)).status, 200, url)
    // By hand: the client's XMLHttpRequest sends IPv6 addresses as a Host without brackets.
    const handshake = await fetch(`${url}/socket.io/?EIO=4&transport=polling`)
    t.equal(handshake.status, 200)
    t.match(await handshake.text(), /^0{"sid":/, 'long polling')
    const subscriber = await Subscriber.connect(url, { transports: ['websocket'] })
    t.match(await subscriber.subscribe(), { status: 'subscribed' }, 'WebSocket')
    subscriber.close()
    t.equal((await fetch(`${url}/socket.io`)).status, 404, 'what is not for Socket.IO goes on to the routes')
  }
})
