// Owns the contract of the store port for endpoints: so many are kept apart, the others are counted together, old ones give
// place, and operators delete them. It holds on every adapter.
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { LedgerRules, Store } from '../../../src/ledger/store-port.js'
import type { LedgerEvent } from '../../../src/sessions/events.js'
import { bruteSeries } from '../brute-force.js'
import { Random } from '../random.js'
import { Sender, storeTests } from './store-tests.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const EPOCH = Date.UTC(2026, 9, 1, 12)
const MAX = 5

const client = { clientAddress: '192.0.2.1', userAgent: null, requests: 1 }
const open = (endpointId: string, sessionId: string, at = EPOCH): LedgerEvent => ({
  type: 'open',
  endpointId,
  sessionId,
  transport: 2,
  at,
  held: false,
  ...client
})
const use = (endpointId: string, sessionId: string, at: number): LedgerEvent => ({
  type: 'use',
  endpointId,
  sessionId,
  transport: 2,
  at,
  requests: 1
})
const close = (endpointId: string, sessionId: string, at: number): LedgerEvent => ({
  type: 'close',
  endpointId,
  sessionId,
  at,
  reason: 'delete'
})
const visit = (endpointId: string, visitor: string, at: number): LedgerEvent => ({
  type: 'visit',
  endpointId,
  sessionId: randomUUID(),
  visitor,
  from: at,
  at,
  who: { clientName: null, clientVersion: null, protocolVersion: '2026-07-28' },
  ...client
})

const RULES: LedgerRules = { idleTimeoutMs: 10 * MINUTE, maxEndpoints: MAX }

type Send = (...events: LedgerEvent[]) => Promise<number>

/** A proxy that ships to the store. */
async function proxyOf(store: Store): Promise<Send> {
  const sender = await new Sender(store, EPOCH).start()
  return async (...events) => (await sender.send(...events)).othersSessions
}

/** Counts, totals and series equal the rows. */
async function isTrue(t: Test, store: Store): Promise<void> {
  const rows = await store.connections({ start: 0, end: EPOCH + 100 * HOUR, limit: 1_000_000 })
  const counts = await store.counts({})
  for (const { endpointId, connectNum } of counts) {
    const own = rows.filter(row => row.endpointId === endpointId)
    t.equal(connectNum, own.filter(row => row.reason === null).length, `connect_num of ${endpointId}`)
    t.equal((await store.totals({ endpointId })).openedNum, own.length, `opened_num of ${endpointId}`)
  }
  const query = { start: EPOCH - MINUTE, end: EPOCH + HOUR, peak: true }
  const points = []
  for await (const chunk of store.series(query)) points.push(...chunk)
  const endpointIds = counts.map(({ endpointId }) => endpointId)
  t.strictSame(points, bruteSeries(rows, endpointIds, query), 'the series equals the rows')
}

const endpointsIn = async (store: Store): Promise<string[]> =>
  (await store.counts({})).map(({ endpointId }) => endpointId)

async function deleteAll(store: Store, endpointId: string): Promise<string> {
  for (;;) {
    const outcome = await store.deleteEndpoint(endpointId, EPOCH)
    if (outcome !== 'more') return outcome
  }
}

export function endpointsContract(
  name: string,
  openStore: (rules: LedgerRules) => Promise<Store>
): (t: Test) => void {
  return t => {
    const withStore = storeTests(t, name, openStore, RULES)

    withStore('sessions of endpoints beyond the limit are counted together, each once', async (t, store) => {
      const [one, two] = [await proxyOf(store), await proxyOf(store)]
      for (let i = 0; i < MAX; i++) t.equal(await one(open(`e${i}`, `s${i}`)), 0)
      t.equal(await one(open('f', 'a'), open('g', 'b'), open('e0', 'c')), 2)
      t.same(await endpointsIn(store), ['e0', 'e1', 'e2', 'e3', 'e4', 'other'])
      t.same(await store.totals({}), { openNum: 8, openedNum: 8 })
      t.equal(await two(use('f', 'a', EPOCH + 1), open('f', 'd'), visit('g', 'v', EPOCH)), 2)
      t.match(await store.session('a'), [{ endpointId: 'other', requestCount: 2 }])
      await two(close('f', 'a', EPOCH + 2), visit('g', 'v', EPOCH + 2))
      t.match(await store.session('a'), [{ reason: 'delete', disconnectAt: EPOCH + 2 }])
      t.same(await store.totals({ endpointId: 'other' }), { openNum: 3, openedNum: 4 })
      await isTrue(t, store)
    })

    withStore('a use that comes late opens no session of an endpoint that was deleted', async (t, store) => {
      const [one, late] = [await proxyOf(store), await proxyOf(store)]
      await one(open('e0', 'a'), use('e0', 'a', EPOCH + 5), close('e0', 'a', EPOCH + 10))
      await one(open('e0', 'long ago', EPOCH - 3 * HOUR), close('e0', 'long ago', EPOCH - 2 * HOUR))
      t.equal(await deleteAll(store, 'e0'), 'deleted')
      await late(use('e0', 'a', EPOCH + 7))
      t.same(await store.totals({}), { openNum: 0, openedNum: 1 })
      t.match(await store.session('a'), [{ endpointId: 'e0', reason: 'delete', disconnectAt: EPOCH + 10 }])
      t.equal(
        await store.settleEarlyCloses(EPOCH + HOUR, EPOCH + HOUR),
        1,
        'it is kept only where a use may come'
      )
      await isTrue(t, store)
    })

    withStore('an end that comes first is one of a session without room, too', async (t, store) => {
      const send = await proxyOf(store)
      for (let i = 0; i < MAX; i++) await send(open(`e${i}`, `s${i}`))
      await send(close('f', 'a', EPOCH + 5))
      t.notOk((await endpointsIn(store)).includes('other'), 'an end makes no endpoint')
      await send(open('f', 'a'))
      t.match(await store.session('a'), [{ endpointId: 'other', reason: 'delete' }])
      await isTrue(t, store)
    })

    withStore(
      'an end that waits since there was room is found by the opening at `other`',
      async (t, store) => {
        const send = await proxyOf(store)
        await send(close('f', 'a', EPOCH + 5), close('f', 'b', EPOCH + 5))
        for (let i = 0; i < MAX; i++) await send(open(`e${i}`, `s${i}`))
        await send(open('f', 'a'), use('f', 'b', EPOCH + 1))
        for (const session of ['a', 'b'])
          t.match(await store.session(session), [{ endpointId: 'other', reason: 'delete' }])
        await isTrue(t, store)
      }
    )

    withStore('a session stays where it is counted when its endpoint finds room', async (t, store) => {
      const send = await proxyOf(store)
      for (let i = 0; i < MAX; i++) await send(open(`e${i}`, `s${i}`), close(`e${i}`, `s${i}`, EPOCH + 1))
      await send(open('f', 'a'), visit('f', 'v', EPOCH))
      for (const endpointId of ['e0', 'e1']) t.equal(await deleteAll(store, endpointId), 'deleted')
      await send(open('f', 'b', EPOCH + 3), use('f', 'a', EPOCH + 4), visit('f', 'v', EPOCH + 5))
      t.match(await store.session('a'), [{ endpointId: 'other', requestCount: 2 }])
      t.match(await store.session('b'), [{ endpointId: 'f' }])
      await send(close('f', 'a', EPOCH + 6), close('f', 'b', EPOCH + 6), visit('f', 'w', EPOCH + 7))
      t.same(await store.totals({}), { openNum: 2, openedNum: 7 })
      t.same(await store.totals({ endpointId: 'f' }), { openNum: 1, openedNum: 2 })
      await isTrue(t, store)
    })

    withStore('sessions of one id are told apart where the endpoint is called `other`', async (t, store) => {
      const send = await proxyOf(store)
      await send(open('e', 'same'), open('other', 'same'))
      await send(use('e', 'same', EPOCH + 1), close('other', 'same', EPOCH + 2))
      t.match(await store.connections({ endpointId: 'e', start: 0, end: EPOCH + HOUR, limit: 9 }), [
        { reason: null, requestCount: 2 }
      ])
      t.equal((await store.session('same')).length, 2)
      await isTrue(t, store)
    })

    withStore(
      'an endpoint is deleted whole, in batches after each of which all is true',
      async (t, store) => {
        const send = await proxyOf(store)
        const random = new Random()
        t.comment(`seed ${random.seed}`)
        for (let i = 0; i < 700; i++) {
          const at = EPOCH + random.int(0, 50 * MINUTE)
          const endpointId = random.pick(['e', 'e', 'f'])
          await send(
            open(endpointId, `s${i}`, at),
            close(endpointId, `s${i}`, at + random.int(1, 5 * MINUTE))
          )
        }
        await send(visit('e', 'v', EPOCH), open('e', 'last'))
        t.equal(await store.deleteEndpoint('e', EPOCH), 'open')
        t.equal((await store.session('s0')).length, 1, 'nothing is deleted where a session is open')
        await send(close('e', 'last', EPOCH + 1))
        while ((await store.closeIdle(EPOCH + HOUR)).length > 0);
        let batches = 0
        for (; (await store.deleteEndpoint('e', EPOCH)) === 'more'; batches++) await isTrue(t, store)
        t.ok(batches > 1)
        t.same(await endpointsIn(store), ['f'])
        t.equal(await store.deleteEndpoint('e', EPOCH), 'unknown')
        await isTrue(t, store)
        await send(visit('e', 'v', EPOCH + 2), use('e', 'another', EPOCH + HOUR))
        t.same(await store.totals({ endpointId: 'e' }), { openNum: 2, openedNum: 2 }, 'it may come again')
        await isTrue(t, store)
      }
    )

    withStore('roll-ups that outlive their sessions are deleted too', async (t, store) => {
      const send = await proxyOf(store)
      for (let i = 0; i < 10; i++)
        await send(open('e', `s${i}`, EPOCH + i * MINUTE), close('e', `s${i}`, EPOCH + i * MINUTE + 1))
      await send(open('f', 'a'))
      await store.deleteEnded(EPOCH + HOUR)
      t.equal(await deleteAll(store, 'e'), 'deleted')
      const points = []
      for await (const chunk of store.series({ start: EPOCH, end: EPOCH + HOUR, peak: false }))
        points.push(...chunk)
      t.same(new Set(points.map(({ endpointId }) => endpointId)), new Set(['f']))
      t.ok(points.every(({ connectNum }) => connectNum === 1))
    })

    withStore(
      'where there are too many, endpoints give place that are beyond retention',
      async (t, store) => {
        const send = await proxyOf(store)
        const end = (endpointId: string, at: number) =>
          send(open(endpointId, `of ${endpointId}`, at), close(endpointId, `of ${endpointId}`, at + 1))
        await end('old', EPOCH)
        await send(open('open', 'a'))
        t.equal(await store.deleteOldEndpoints(EPOCH + HOUR, EPOCH), 0, 'there is room')
        for (const endpointId of ['x', 'y', 'z']) await end(endpointId, EPOCH + 2 * HOUR)
        t.equal(await store.deleteOldEndpoints(EPOCH + HOUR, EPOCH), 0, 'its sessions are kept')
        await store.deleteEnded(EPOCH + HOUR)
        t.equal(await store.deleteOldEndpoints(EPOCH, EPOCH), 0, 'it changed since')
        t.equal(await store.deleteOldEndpoints(EPOCH + HOUR, EPOCH), 1)
        t.same(await endpointsIn(store), ['open', 'x', 'y', 'z'])
        await send(open('new', 'b'))
        t.match(await store.session('b'), [{ endpointId: 'new' }])
      }
    )

    withStore(
      'two proxies that ship at the same time count each session once',
      async (t, store) => {
        const random = new Random()
        t.comment(`seed ${random.seed}`)
        const proxies = [await proxyOf(store), await proxyOf(store)]
        const told: LedgerEvent[][] = [[], []]
        let openNum = 0
        for (let i = 0; i < 300; i++) {
          const [endpointId, sessionId] = [`e${random.int(0, 60)}`, `s${i}`]
          const at = EPOCH + random.int(0, 5 * MINUTE)
          random.pick(told).push(open(endpointId, sessionId, at))
          if (random.chance(0.5)) random.pick(told).push(use(endpointId, sessionId, at + 10))
          if (random.chance(0.5)) random.pick(told).push(close(endpointId, sessionId, at + 20))
          else openNum++
        }
        await Promise.all(
          proxies.map(async (send, i) => {
            for (const events = told[i]!; events.length > 0;)
              await send(...events.splice(0, random.int(1, 20)))
          })
        )
        while ((await store.settleEarlyCloses(EPOCH + HOUR, EPOCH)) > 0);
        t.same(await store.totals({}), { openNum, openedNum: 300 })
        t.equal((await endpointsIn(store)).length, 20 + 1)
        await isTrue(t, store)
      },
      { ...RULES, maxEndpoints: 20 }
    )
  }
}
