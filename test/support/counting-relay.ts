// Owns a TCP relay that counts the bytes that pass it: what a stranger between client and proxy sees.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Test } from 'tap'

export interface CountingRelay {
  readonly url: string
  readonly port: number
  /** From clients. */
  bytesIn: number
  /** To clients. */
  bytesOut: number
}

/** Relays to a port of this machine; it is stopped at the end of the test. */
export async function startCountingRelay(t: Test, port: number): Promise<CountingRelay> {
  const server = createServer({ allowHalfOpen: true }, client => {
    const proxy = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    client.on('data', (part: Buffer) => (relay.bytesIn += part.length))
    proxy.on('data', (part: Buffer) => (relay.bytesOut += part.length))
    client.pipe(proxy).pipe(client)
    for (const [one, other] of [
      [client, proxy],
      [proxy, client]
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroySoon())
    }
    t.teardown(() => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const own = (server.address() as AddressInfo).port
  const relay = { url: `http://127.0.0.1:${own}`, port: own, bytesIn: 0, bytesOut: 0 }
  return relay
}
