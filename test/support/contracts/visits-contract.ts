// Owns the contract of the store port for session-less clients: two proxies agree on their visits, on every adapter.
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { InstanceIdentity, LedgerRules, SessionRow, Store } from '../../../src/ledger/store-port.js'
import { LISTEN_METHOD } from '../../../src/mcp/methods.js'
import type { LedgerEvent, VisitEvent } from '../../../src/sessions/events.js'
import type { Observation } from '../../../src/sessions/observations.js'
import { SessionTracker } from '../../../src/sessions/tracker.js'
import { bruteSeries } from '../brute-force.js'
import { Random } from '../random.js'
import { type Presence, visitsOf } from '../visit-oracle.js'
import { visitorRequest } from '../visitor-request.js'

const MINUTE = 60_000
const TIMEOUT = 5 * MINUTE
const SPAN = 2 * 60 * MINUTE
const EPOCH = Date.UTC(2026, 9, 1, 23)
const TICK = 1_000

/** What one proxy saw, as its own tracker tells it. */
class Proxy {
  readonly instance: InstanceIdentity = { id: randomUUID(), boot: 1 }
  readonly outbox: LedgerEvent[] = []
  readonly #tracker = new SessionTracker({ idleTimeoutMs: TIMEOUT, maxRemembered: 5 })
  #offset = 0
  #tickAt = EPOCH

  /** Ticks until `at`, then sees this. */
  see(at: number, observation?: Observation): void {
    for (; this.#tickAt <= at; this.#tickAt += TICK) this.outbox.push(...this.#tracker.flush(this.#tickAt))
    if (observation) this.outbox.push(...this.#tracker.observe(observation))
  }

  /** Ships the next events of its outbox; whether there are more. */
  async ship(store: Store, count: number): Promise<boolean> {
    const entries = this.outbox.splice(0, count).map(event => ({ offset: ++this.#offset, boot: 1, event }))
    await store.apply(this.instance, entries, EPOCH)
    return this.outbox.length > 0
  }
}

const request = (client: string, at: number, rpcMethod = 'tools/call'): Observation =>
  visitorRequest(client, at, {
    endpointId: `e${client.length % 3}`,
    client: { address: '192.0.2.1', userAgent: client },
    rpcMethod
  })

const visit = (at: number, rest: Partial<VisitEvent> = {}): VisitEvent => ({
  type: 'visit',
  endpointId: 'e',
  sessionId: randomUUID(),
  visitor: 'one',
  from: at,
  at,
  clientAddress: '192.0.2.1',
  userAgent: 'agent',
  requests: 1,
  who: { clientName: null, clientVersion: null, protocolVersion: '2026-07-28' },
  ...rest
})

/** All rows, oldest first. */
async function allRows(store: Store): Promise<SessionRow[]> {
  return (await store.connections({ start: 0, end: EPOCH + 10 * SPAN, limit: 1_000_000 })).reverse()
}

async function isTrue(t: Test, store: Store): Promise<void> {
  const rows = await allRows(store)
  const counts = await store.counts({})
  for (const { endpointId, connectNum } of counts)
    t.equal(connectNum, rows.filter(row => row.endpointId === endpointId && row.reason === null).length)
  const query = { start: EPOCH - MINUTE, end: EPOCH + SPAN + TIMEOUT, peak: true }
  const points = []
  for await (const chunk of store.series(query)) points.push(...chunk)
  const endpointIds = counts.map(count => count.endpointId)
  t.strictSame(points, bruteSeries(rows, endpointIds, query), 'the series equals the rows')
}

export function visitsContract(
  name: string,
  openStore: (rules: LedgerRules) => Promise<Store>
): (t: Test) => void {
  return t => {
    const withStore = (title: string, body: (t: Test, store: Store) => Promise<void>): void => {
      void t.test(`${name}: ${title}`, async t => {
        const store = await openStore({ idleTimeoutMs: TIMEOUT })
        t.teardown(() => store.close())
        await body(t, store)
      })
    }
    const started = async (store: Store): Promise<{ send: (...events: LedgerEvent[]) => Promise<void> }> => {
      const proxy = new Proxy()
      await store.register(proxy.instance, EPOCH)
      return {
        send: async (...events) => {
          proxy.outbox.push(...events)
          await proxy.ship(store, events.length)
        }
      }
    }

    withStore('two proxies tell of one client: one visit', async (t, store) => {
      const [one, two] = [await started(store), await started(store)]
      await one.send(visit(EPOCH + 10))
      await two.send(visit(EPOCH + 5, { requests: 2 }), visit(EPOCH, { visitor: 'another' }))
      const rows = await allRows(store)
      t.match(rows, [
        { transport: 3, connectAt: EPOCH, requestCount: 1 },
        { transport: 3, connectAt: EPOCH + 5, lastSeenAt: EPOCH + 10, requestCount: 3, reason: null }
      ])
      t.match(rows[1]?.sessionId, /^[0-9a-f-]{36}$/)
      t.same(await store.counts({ endpointId: 'e', transport: 3 }), [{ endpointId: 'e', connectNum: 2 }])
      t.same(await store.counts({ endpointId: 'e', transport: 2 }), [{ endpointId: 'e', connectNum: 0 }])
      await isTrue(t, store)
    })

    withStore('a client that comes back after its idle end is on another visit', async (t, store) => {
      const one = await started(store)
      await one.send(visit(EPOCH))
      t.match(await store.closeIdle(EPOCH + TIMEOUT), [{ transport: 3 }])
      await one.send(visit(EPOCH + TIMEOUT))
      t.match(await allRows(store), [
        { connectAt: EPOCH, disconnectAt: EPOCH + TIMEOUT, reason: 'idle' },
        { connectAt: EPOCH + TIMEOUT, reason: null }
      ])
      await isTrue(t, store)
    })

    withStore('a late fact between two visits makes them one, with the id of the first', async (t, store) => {
      const [one, two] = [await started(store), await started(store)]
      await one.send(visit(EPOCH), visit(EPOCH + TIMEOUT + MINUTE, { requests: 5 }))
      await store.closeIdle(EPOCH + TIMEOUT)
      const [first, second] = await allRows(store)
      const { position } = await store.feed({ limit: 1 })
      await two.send(visit(EPOCH + 2 * MINUTE))
      t.match(await allRows(store), [
        { sessionId: first!.sessionId, connectAt: EPOCH, requestCount: 7, reason: null }
      ])
      t.same(await store.session(second!.sessionId), [])
      t.match((await store.feed({ after: position, limit: 100 })).changes, [
        { kind: 'opened', session: { sessionId: first!.sessionId } },
        { kind: 'closed', sessionId: second!.sessionId, reason: 'idle' }
      ])
      await isTrue(t, store)
    })

    withStore('what came of requests adds up, also where two visits become one', async (t, store) => {
      const [one, two] = [await started(store), await started(store)]
      const outcome = { bytesIn: 1, bytesOut: 20, calls: 300, errors: 4_000, unread: 50_000 }
      await one.send(visit(EPOCH, { outcome }), visit(EPOCH + TIMEOUT + MINUTE, { outcome }))
      await two.send(visit(EPOCH + 2 * MINUTE, { requests: 0, outcome }))
      t.match(await allRows(store), [
        {
          bytesIn: 3,
          bytesOut: 60,
          callCount: 900,
          errorCount: 12_000,
          unreadCount: 150_000,
          requestCount: 2
        }
      ])
    })

    withStore('who is told in no order: known beats unknown', async (t, store) => {
      const one = await started(store)
      const who = { clientName: 'known', clientVersion: null, protocolVersion: null }
      await one.send(visit(EPOCH), visit(EPOCH + 1, { who }), visit(EPOCH + 2))
      t.match(await allRows(store), [
        { clientName: 'known', clientVersion: null, protocolVersion: '2026-07-28' }
      ])
      const session = { endpointId: 'e', sessionId: 's', transport: 2, at: EPOCH, requests: 1 } as const
      await one.send({ type: 'use', ...session, who }, { type: 'use', ...session })
      t.match(await store.session('s'), [{ clientName: 'known', protocolVersion: null }])
    })

    withStore('retention forgets whose visit it was', async (t, store) => {
      const one = await started(store)
      await one.send(visit(EPOCH))
      await store.closeIdle(EPOCH + TIMEOUT)
      t.equal(await store.deleteEnded(EPOCH + TIMEOUT + 1), 1)
      await one.send(visit(EPOCH + 1))
      t.match(await allRows(store), [{ connectAt: EPOCH + 1 }])
    })

    withStore('two hours of clients at two proxies, told late and out of turn', async (t, store) => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      const proxies = [new Proxy(), new Proxy()]
      for (const { instance } of proxies) await store.register(instance, EPOCH)
      const truth = new Map<string, Presence[]>()
      const script: { at: number; proxy: Proxy; observation: Observation }[] = []
      for (let i = 0; i < 60; i++) {
        const client = 'c'.repeat(i + 1)
        const presence: Presence[] = []
        let at = EPOCH + random.int(0, SPAN / 2)
        while (at < EPOCH + SPAN && presence.length < 25) {
          const proxy = random.pick(proxies)
          const listens = random.chance(0.15)
          const end = listens ? at + random.int(0, 3 * TIMEOUT) : at
          script.push({ at, proxy, observation: request(client, at, listens ? LISTEN_METHOD : 'ping') })
          const ended = { kind: 'listen-ended', visitor: client, at: end } as const
          if (listens) script.push({ at: end, proxy, observation: ended })
          presence.push({ from: at, at: end, requests: 1 })
          at += random.pick([0, 1, 300, MINUTE, TIMEOUT - 1, TIMEOUT, TIMEOUT + 1, 2 * TIMEOUT])
        }
        truth.set(client, presence)
      }
      const lastAt = EPOCH + SPAN + 6 * TIMEOUT
      for (const { at, proxy, observation } of script.sort((a, b) => a.at - b.at)) proxy.see(at, observation)
      for (const proxy of proxies) proxy.see(lastAt)

      const told = proxies.reduce((sum, { outbox }) => sum + outbox.length, 0)
      await Promise.all(
        proxies.map(async proxy => {
          while (await proxy.ship(store, random.int(1, 40)))
            if (random.chance(0.2)) await store.closeIdle(EPOCH + random.int(0, SPAN))
        })
      )
      await store.closeIdle(lastAt)
      const rows = await allRows(store)
      for (const [client, presence] of truth) {
        const expected = visitsOf(presence, TIMEOUT).map(each => ({
          ...each,
          disconnectAt: each.lastSeenAt + TIMEOUT,
          reason: 'idle',
          clientName: client
        }))
        const found = rows
          .filter(row => row.userAgent === client)
          .map(({ connectAt, lastSeenAt, requestCount, disconnectAt, reason, clientName }) => ({
            connectAt,
            lastSeenAt,
            requestCount,
            disconnectAt,
            reason,
            clientName
          }))
        t.strictSame(found, expected, `${presence.length} times there: ${expected.length} visits`)
      }
      t.comment(`${script.length} observations, ${told} events, ${rows.length} visits`)
      await isTrue(t, store)
    })
  }
}
