// Owns what proxies tell each other of gateways, and how seldom they write where there is one gateway.
import { EventEmitter, once } from 'node:events'
import pino from 'pino'
import t, { type Test } from 'tap'
import { startUpstreamReports } from '../../src/app/upstream-reports.js'
import type { UpstreamReport } from '../../src/ledger/store-port.js'
import { Upstreams } from '../../src/proxy/balancing/upstreams.js'

/** A store that keeps the reports of one instance; `read` is emitted at the end of each reading of the orders. */
class FakeStore extends EventEmitter {
  readonly written: (readonly UpstreamReport[])[] = []
  drained: string[] = []
  isAway = false
  #readings = 0

  upstreams() {
    return this.isAway ? Promise.reject(new Error('away')) : Promise.resolve([])
  }

  upstreamOrders() {
    if (this.isAway) return Promise.reject(new Error('away'))
    const reported = this.written.at(-1)?.map(({ name }) => name) ?? []
    this.#readings++
    setImmediate(() => this.emit('read'))
    return Promise.resolve({ drained: this.drained, reported })
  }

  reportUpstreams(_: unknown, reports: readonly UpstreamReport[]): Promise<void> {
    this.written.push(reports)
    return Promise.resolve()
  }

  /** Resolves when it was read so many more times, and what follows from that is done. */
  async reads(times: number): Promise<void> {
    const until = this.#readings + times
    while (this.#readings < until) await once(this, 'read')
  }
}

async function start(t: Test, names: string[]) {
  const upstreams = new Upstreams({
    upstreams: names.map(name => ({ name, url: new URL(`http://${name}:1`) })),
    ...{
      rewriteHost: false,
      connectTimeoutMs: 1_000,
      upstreamTimeoutMs: 0,
      upstreamKeepAliveMs: 0,
      log: pino({ level: 'silent' })
    }
  })
  t.teardown(() => upstreams.close())
  const store = new FakeStore()
  const reports = await startUpstreamReports({ store, instance: { id: 'i', boot: 1 }, upstreams })
  t.teardown(() => reports.close())
  return { upstreams, store, reports }
}

void t.test('of one gateway its requests are told only to who asks', async t => {
  const { upstreams, store, reports } = await start(t, ['a'])
  t.match(store.written, [[{ name: 'a', isListed: true, isDraining: false, requests: 0 }]])
  upstreams.get('a')!.underWay = 5
  await store.reads(2)
  t.equal(store.written.length, 1, 'no write while nothing but requests change')
  await reports.report()
  t.match(store.written[1], [{ requests: 5 }])
  await reports.report()
  t.equal(store.written.length, 2, 'what the store has is not written again')

  upstreams.get('a')!.failed()
  await store.reads(2)
  t.match(store.written[2], [{ failingSince: Number }], 'a change of its state is told at once')
  store.drained = ['a']
  await store.reads(2)
  t.match(store.written[3], [{ isDraining: true, requests: 5 }])
  upstreams.get('a')!.underWay = 0
  await store.reads(2)
  t.match(store.written[4], [{ requests: 0 }], 'while it is drained, requests count')
})

void t.test('of several gateways all changes are told', async t => {
  const { upstreams, store } = await start(t, ['a', 'b'])
  await store.reads(2)
  t.equal(store.written.length, 1)
  upstreams.get('b')!.underWay = 1
  await store.reads(2)
  t.match(store.written[1], [{ requests: 0 }, { requests: 1 }])
})

void t.test('a store that lost the reports, or was away, gets them again', async t => {
  const { store, reports } = await start(t, ['a'])
  store.isAway = true
  await t.rejects(reports.report())
  store.isAway = false
  store.written.push([])
  await store.reads(2)
  t.match(store.written.slice(2), [[{ name: 'a' }]])
})
