// Owns the contract of the store port: the same tests run on every adapter.
import type { Test } from 'tap'
import type {
  LedgerRules,
  SeriesPoint,
  SeriesQuery,
  SessionRow,
  Store
} from '../../../src/ledger/store-port.js'
import { Transport } from '../../../src/mcp/transports.js'
import type { CloseEvent, LedgerEvent, OpenEvent, UseEvent } from '../../../src/sessions/events.js'
import { bruteConnections, bruteSeries, byBytes } from '../brute-force.js'
import { Random } from '../random.js'
import { EPOCH, Sender, storeTests } from './store-tests.js'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
/** In the order of their bytes, which is not JavaScript's. */
const ENDPOINTS = ['e1', 'e 1', 'é', '知识库', '\uffee', '\u{1f600}']
const FOREVER = { start: 0, end: EPOCH + 100 * DAY }

const open = (endpointId: string, sessionId: string, at: number, held = false): LedgerEvent => ({
  type: 'open',
  endpointId,
  sessionId,
  transport: held ? 1 : 2,
  at,
  clientAddress: '127.0.0.1',
  userAgent: 'test',
  requests: 1,
  held
})
const use = (endpointId: string, sessionId: string, at: number, requests = 1): LedgerEvent => ({
  type: 'use',
  endpointId,
  sessionId,
  transport: 2,
  at,
  requests
})
const close = (endpointId: string, sessionId: string, at: number): LedgerEvent => ({
  type: 'close',
  endpointId,
  sessionId,
  at,
  reason: 'delete'
})

async function allRows(store: Store): Promise<SessionRow[]> {
  return await store.connections({ ...FOREVER, limit: 1_000_000 })
}

async function allPoints(store: Store, query: SeriesQuery): Promise<SeriesPoint[]> {
  const points: SeriesPoint[] = []
  for await (const chunk of store.series(query)) points.push(...chunk)
  return points
}

/** What of a row does not depend on the order in which facts came. */
function facts(row: SessionRow): Omit<SessionRow, 'id'> {
  const { id: _id, ...rest } = row
  return rest
}

/** `connect_num` equals the open rows; the series equals them minute by minute. */
async function holdsInvariant(t: Test, store: Store, range: SeriesQuery): Promise<void> {
  const rows = await allRows(store)
  const counts = await store.counts({})
  for (const { endpointId, connectNum } of counts) {
    const expected = rows.filter(row => row.endpointId === endpointId && row.reason === null).length
    if (connectNum !== expected) t.equal(connectNum, expected, `connect_num of ${endpointId}`)
  }
  for (const row of rows) {
    if ((row.reason === null) !== (row.connectAt === row.disconnectAt) || row.disconnectAt < row.connectAt) {
      t.fail('disconnect_at = connect_at exactly while open', { row })
    }
  }
  const expected = bruteSeries(
    rows,
    counts.map(count => count.endpointId),
    range
  )
  t.strictSame(await allPoints(store, range), expected, 'the series equals the rows')
}

/** A random history: sessions of all lengths, on borders too, some ended, some seen by uses or closes in odd order. */
function randomHistory(random: Random, sessions: number, days: number): LedgerEvent[] {
  const events: LedgerEvent[] = []
  const instant = (from: number, to: number): number => {
    const at = random.int(from, to)
    return random.chance(0.2) ? Math.floor(at / MINUTE) * MINUTE : at
  }
  for (let i = 0; i < sessions; i++) {
    const endpointId = random.pick(ENDPOINTS)
    const opened = instant(EPOCH, EPOCH + days * DAY)
    events.push(open(endpointId, `s${i}`, opened, random.chance(0.3)))
    if (random.chance(0.3))
      events.push(use(endpointId, `s${i}`, opened + random.int(-5, 100_000), random.int(1, 5)))
    if (random.chance(0.85)) {
      const longest = random.pick([1, 50, 30_000, 10 * MINUTE, 5 * 60 * MINUTE, 2 * DAY])
      const ended = random.chance(0.1) ? opened : instant(opened, opened + longest)
      events.push(close(endpointId, `s${i}`, ended))
      if (random.chance(0.05)) events.push(close(endpointId, `s${i}`, ended + random.int(0, 1000)))
    }
  }
  return events
}

/** The idle timeout of the tests about it. */
const TIMEOUT = 5 * MINUTE

export function storeContract(
  name: string,
  openStore: (rules: LedgerRules) => Promise<Store>
): (t: Test) => void {
  return t => {
    const withStore = storeTests(t, name, openStore)

    withStore('applies each entry once, however often a batch is sent', async (t, store) => {
      const sender = await new Sender(store).start()
      const first = sender.entries([open('e', 'a', EPOCH), use('e', 'a', EPOCH + 5, 3)])
      const second = sender.entries([open('e', 'b', EPOCH), close('e', 'a', EPOCH + 10)])
      await store.apply(sender.instance, first, EPOCH)
      await store.apply(sender.instance, first, EPOCH)
      await store.apply(sender.instance, [...first, ...second], EPOCH)
      await store.apply(sender.instance, second, EPOCH)
      t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 1 }])
      t.match(await store.session('a'), [
        { requestCount: 4, connectAt: EPOCH, disconnectAt: EPOCH + 10, reason: 'delete' }
      ])
      t.same(await store.register(sender.instance, EPOCH), { appliedOffset: 4 })
      t.same(await store.register({ ...sender.instance, boot: 2 }, EPOCH), { appliedOffset: 4 })
    })

    withStore('what came of requests adds up, each told once, in whichever order', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      const outcome = { bytesIn: 1, bytesOut: 20, calls: 300, errors: 4_000, unread: 50_000 }
      const late: LedgerEvent = {
        ...{ type: 'outcome', endpointId: 'e', sessionId: 'a', transport: 2, at: EPOCH },
        outcome
      }
      await one.send(late)
      t.same(await allRows(store), [], 'makes no row')
      const batch = two.entries([
        { ...use('e', 'a', EPOCH + 5), outcome } as UseEvent,
        close('e', 'a', EPOCH + 10),
        late
      ])
      await store.apply(two.instance, batch, EPOCH)
      await store.apply(two.instance, batch, EPOCH)
      await one.send(open('e', 'a', EPOCH), late, { ...late, transport: 1 })
      t.match(await store.session('a'), [
        {
          ...{ bytesIn: 3, bytesOut: 60, callCount: 900, errorCount: 12_000, unreadCount: 150_000 },
          ...{ connectAt: EPOCH, lastSeenAt: EPOCH + 5, disconnectAt: EPOCH + 10, requestCount: 2 }
        }
      ])
      t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 0 }])
    })

    withStore('a close of an unknown session makes no row and no count', async (t, store) => {
      const sender = await new Sender(store).start()
      await sender.send(close('e', 'nobody', EPOCH))
      t.same(await allRows(store), [])
      t.same(await store.counts({}), [])
      t.same(await store.counts({ endpointId: 'e' }), [{ endpointId: 'e', connectNum: 0 }])
    })

    withStore(
      'presence of an unknown session makes no row and no count, of a known one is use',
      async (t, store) => {
        const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
        const present = (at: number): LedgerEvent => ({
          ...(use('e', 'a', at, 0) as UseEvent),
          provedAt: 0,
          ofKnown: true
        })
        await one.send(present(EPOCH))
        t.same(await allRows(store), [])
        t.same(await store.counts({}), [])
        await two.send(open('e', 'a', EPOCH + 10))
        await one.send(present(EPOCH + 5))
        await one.send(present(EPOCH + 100))
        t.match(await store.session('a'), [
          { connectAt: EPOCH + 10, lastSeenAt: EPOCH + 100, requestCount: 1 }
        ])
        t.same(await store.closeIdle(EPOCH + 150), [])
        t.match(await store.closeIdle(EPOCH + 200), [{ sessionId: 'a' }])
      },
      { idleTimeoutMs: 100 }
    )

    withStore('a close that another proxy tells before the open still ends the session', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      await one.send(close('e', 'a', EPOCH + 100))
      await two.send(open('e', 'a', EPOCH))
      t.match(await store.session('a'), [{ connectAt: EPOCH, disconnectAt: EPOCH + 100, reason: 'delete' }])
      t.same(await store.counts({ endpointId: 'e' }), [{ endpointId: 'e', connectNum: 0 }])
    })

    withStore('a session opened and closed in the same millisecond was open for one', async (t, store) => {
      const sender = await new Sender(store).start()
      await sender.send(open('e', 'a', EPOCH), close('e', 'a', EPOCH))
      t.match(await store.session('a'), [{ connectAt: EPOCH - 1, disconnectAt: EPOCH, reason: 'delete' }])
    })

    withStore('an end seen on the other transport ends nothing, told early or late', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      const ended = (sessionId: string, transport: Transport): LedgerEvent => ({
        ...(close('e', sessionId, EPOCH + 100) as CloseEvent),
        transport
      })
      await one.send(ended('early', Transport.streamable), ended('ended early', Transport.sse))
      for (const id of ['early', 'ended early', 'late', 'ended late'])
        await two.send(open('e', id, EPOCH, true))
      await one.send(ended('late', Transport.streamable), ended('ended late', Transport.sse))
      const living = (await allRows(store)).filter(row => row.reason === null)
      t.same(living.map(row => row.sessionId).sort(), ['early', 'late'])
      await store.settleEarlyCloses(EPOCH + 1, EPOCH + 200)
      t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 2 }])
    })

    withStore('tells on which endpoints legacy sessions are, by their ids', async (t, store) => {
      const sender = await new Sender(store).start()
      const ended = { ...(close('f', 'a', EPOCH + 5) as CloseEvent), reason: 'stream_end' as const }
      await sender.send(open('f', 'a', EPOCH, true), ended, open('e', 'a', EPOCH + 9, true))
      await sender.send(open('e', 'b', EPOCH, true), open('e', 'streamable', EPOCH))
      t.same(await store.legacySessions(['a', 'streamable', 'unknown']), [
        { endpointId: 'e', sessionId: 'a', isOpen: true, upstream: null },
        { endpointId: 'f', sessionId: 'a', isOpen: false, upstream: null }
      ])
      t.same(await store.legacySessions([]), [])
    })

    withStore('counts and lists the sessions of a gateway', async (t, store) => {
      const sender = await new Sender(store).start()
      const on = (upstream: string, event: LedgerEvent): LedgerEvent =>
        ({ ...event, upstream }) as LedgerEvent
      await sender.send(
        on('a', open('e', '1', EPOCH)),
        on('a', open('f', '2', EPOCH + 1)),
        on('a', open('e', '3', EPOCH + 2)),
        close('e', '3', EPOCH + 9),
        on('b', open('e', '4', EPOCH + 3, true)),
        open('e', '5', EPOCH + 4)
      )
      const { instance } = sender
      t.match(await store.upstreamCounts({ instanceId: instance.id }), { appliedOffset: 6 })
      const { counts } = await store.upstreamCounts({ instanceId: instance.id })
      t.same(
        new Set(counts),
        new Set([
          { upstream: 'a', connectNum: 2 },
          { upstream: 'b', connectNum: 1 }
        ])
      )
      const ids = async (query: { upstream: string; endpointId?: string }): Promise<string[]> =>
        (await store.connections({ ...FOREVER, limit: 9, ...query })).map(row => row.sessionId)
      t.same(await ids({ upstream: 'a' }), ['3', '2', '1'])
      t.same(await ids({ upstream: 'a', endpointId: 'e' }), ['3', '1'])
      t.same(await ids({ upstream: 'c' }), [])
      t.same(await store.counts({ upstream: 'a' }), [
        { endpointId: 'e', connectNum: 1 },
        { endpointId: 'f', connectNum: 1 }
      ])
      t.same(await store.counts({ upstream: 'b', endpointId: 'e', transport: 2 }), [
        { endpointId: 'e', connectNum: 0 }
      ])
      t.same(await store.totals({ upstream: 'a' }), { openNum: 2, openedNum: 3 })
      t.same(await store.totals({ upstream: 'a', endpointId: 'e' }), { openNum: 1, openedNum: 2 })
      // What a row of before lacked is filled, and a gateway with another name since is known by that one.
      await sender.send(on('b', open('e', '5', EPOCH + 3)), on('c', open('e', '1', EPOCH + 8)))
      const named = new Map((await allRows(store)).map(row => [row.sessionId, row.upstream]))
      t.same([named.get('5'), named.get('1')], ['b', 'c'])
    })

    withStore('a lost stream stays lost where its session is found gone later', async (t, store) => {
      const [holder, other] = [await new Sender(store).start(), await new Sender(store).start()]
      await holder.send(open('e', 'a', EPOCH, true))
      await store.heartbeat(holder.instance, EPOCH + 50)
      await store.loseStreams(holder.instance.id, EPOCH + 50, EPOCH + 60)
      const gone: LedgerEvent = { ...(close('e', 'a', EPOCH + 9_000) as CloseEvent), reason: 'gone' }
      await other.send({ ...gone, transport: Transport.sse })
      t.match(await store.session('a'), [{ reason: 'lost', disconnectAt: EPOCH + 50 }])
      await holder.send({ ...(use('e', 'a', EPOCH + 70) as UseEvent), transport: Transport.sse })
      t.match(await store.session('a'), [{ reason: null, disconnectAt: EPOCH }], 'it was not lost')
      t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 1 }])
    })

    withStore('a gone is taken back by a later proof, in whichever order', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      const gone = (id: string, at: number): LedgerEvent => ({
        ...(close('e', id, at) as CloseEvent),
        reason: 'gone',
        transport: Transport.streamable
      })
      const touch = (id: string, at: number): LedgerEvent => ({
        ...(use('e', id, at) as UseEvent),
        provedAt: 0
      })
      for (const id of ['a', 'b', 'c', 'd']) await one.send(open('e', id, EPOCH))
      await two.send(gone('a', EPOCH + 10), gone('a', EPOCH + 30), gone('early', EPOCH + 10))
      await one.send(touch('a', EPOCH + 40))
      t.match(await store.session('a'), [{ reason: 'gone', disconnectAt: EPOCH + 10 }], 'no proof')
      await one.send(use('e', 'a', EPOCH + 20))
      t.match(await store.session('a'), [{ reason: 'gone', disconnectAt: EPOCH + 30 }])
      await one.send(use('e', 'a', EPOCH + 30), use('e', 'b', EPOCH + 30), open('e', 'early', EPOCH + 5))
      t.match(await store.session('early'), [{ reason: 'gone', disconnectAt: EPOCH + 10 }])
      await two.send(gone('b', EPOCH + 20), gone('c', EPOCH + 20), close('e', 'd', EPOCH + 20))
      await one.send(use('e', 'early', EPOCH + 10), use('e', 'd', EPOCH + 90))
      await store.settleEarlyCloses(EPOCH + 1_000_000, EPOCH + 1_000_000)
      const reasons = (await allRows(store)).map(row => [row.sessionId, row.reason])
      t.same(Object.fromEntries(reasons), { a: null, b: null, c: 'gone', d: 'delete', early: null })
      t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 3 }])
    })

    withStore(
      'a session that takes the place of another one has the name of its client',
      async (t, store) => {
        const sender = await new Sender(store).start()
        const who = { clientName: 'agent', clientVersion: '1', protocolVersion: '2025-06-18' }
        await sender.send(open('e', 'old', EPOCH), { ...(use('e', 'old', EPOCH) as UseEvent), who })
        await sender.send({ ...(open('e', 'new', EPOCH + 9) as OpenEvent), replaces: 'old' })
        await sender.send({ ...(open('e', 'newer', EPOCH + 9) as OpenEvent), replaces: 'nobody' })
        t.match(await store.session('new'), [who])
        t.match(await store.session('newer'), [{ clientName: null }])
      }
    )

    withStore(
      'a legacy session whose stream nobody saw idles, until its stream is told of',
      async (t, store) => {
        const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
        await one.send({ ...(open('e', 'a', EPOCH) as OpenEvent), transport: Transport.sse })
        await two.send(open('e', 'b', EPOCH, true))
        t.equal((await store.closeIdle(EPOCH + 999)).length, 0)
        t.match(await store.closeIdle(EPOCH + 1_000), [{ sessionId: 'a' }])
        t.match(await store.session('a'), [{ reason: 'idle', disconnectAt: EPOCH + 1_000 }])
        await two.send(open('e', 'a', EPOCH - 5, true))
        t.match(await store.session('a'), [{ reason: null, connectAt: EPOCH - 5 }])
        t.equal((await store.closeIdle(EPOCH + 5_000)).length, 0)
        t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 2 }])
      },
      { idleTimeoutMs: 1_000 }
    )

    withStore('live counts come with the outbox offset that they include', async (t, store) => {
      const [one, other] = [await new Sender(store).start(), await new Sender(store).start()]
      const counts = (sender: Sender) => store.liveCounts({ instanceId: sender.instance.id })
      t.same(await counts(one), { appliedOffset: 0, counts: [] })
      await one.send(open('e', 'a', EPOCH), open('e', 'b', EPOCH), open('f', 'a', EPOCH))
      await other.send(open('e', 'c', EPOCH, true), close('f', 'a', EPOCH + 1))
      const expected = [{ endpointId: 'e', connectNum: 3 }]
      t.same(await counts(one), { appliedOffset: 3, counts: expected })
      t.same(await counts(other), { appliedOffset: 2, counts: expected })
      t.same(await store.liveCounts({ instanceId: 'nobody' }), { appliedOffset: 0, counts: expected })
    })

    withStore('the same id on two endpoints is two sessions', async (t, store) => {
      const sender = await new Sender(store).start()
      await sender.send(open('e', 'a', EPOCH), open('f', 'a', EPOCH), close('f', 'a', EPOCH + 1))
      t.same(await store.counts({}), [
        { endpointId: 'e', connectNum: 1 },
        { endpointId: 'f', connectNum: 0 }
      ])
      t.equal((await store.session('a')).length, 2)
    })

    withStore('a restart loses the streams of earlier starts, and nothing else', async (t, store) => {
      const [one, other] = [await new Sender(store).start(), await new Sender(store).start()]
      await one.send(open('e', 'stream', EPOCH, true), open('e', 'session', EPOCH))
      await other.send(open('e', 'elsewhere', EPOCH, true))
      await one.start(2)
      await one.send({ type: 'restart', at: EPOCH + 50 }, open('e', 'new', EPOCH + 60, true))
      t.match(await store.session('stream'), [{ reason: 'lost', disconnectAt: EPOCH + 50 }])
      t.same(await store.counts({ endpointId: 'e' }), [{ endpointId: 'e', connectNum: 3 }])
      t.same(await store.counts({ endpointId: 'e', transport: 1 }), [{ endpointId: 'e', connectNum: 2 }])
    })

    withStore(
      'only its holder takes a lost stream back: what others saw may be older than its end',
      async (t, store) => {
        const [holder, other] = [await new Sender(store).start(), await new Sender(store).start()]
        await holder.send(open('e', 'a', EPOCH, true))
        await store.heartbeat(holder.instance, EPOCH + 50)
        await store.loseStreams(holder.instance.id, EPOCH + 50, EPOCH + 9000)
        await other.send(use('e', 'a', EPOCH + 60))
        t.match(await store.session('a'), [{ reason: 'lost', connectAt: EPOCH, disconnectAt: EPOCH + 60 }])
        await holder.send(use('e', 'a', EPOCH + 40))
        t.match(await store.session('a'), [{ reason: null, connectAt: EPOCH, disconnectAt: EPOCH }])
        await holdsInvariant(t, store, { start: EPOCH - MINUTE, end: EPOCH + 3 * MINUTE, peak: true })
      }
    )

    withStore('a stream of an earlier start never comes back', async (t, store) => {
      const [holder, other] = [await new Sender(store).start(), await new Sender(store).start()]
      await holder.send(open('e', 'a', EPOCH, true))
      await holder.start(2)
      await holder.send({ type: 'restart', at: EPOCH + 50 })
      await other.send(use('e', 'a', EPOCH + 60))
      await holder.send(use('e', 'a', EPOCH + 70))
      t.match(await store.session('a'), [{ reason: 'lost', disconnectAt: EPOCH + 70 }])
      t.same(await store.counts({}), [{ endpointId: 'e', connectNum: 0 }])
    })

    withStore(
      'a proxy not heard of is taken for lost: its streams end at its last heartbeat',
      async (t, store) => {
        const [gone, other] = [await new Sender(store).start(), await new Sender(store).start()]
        await gone.send(open('e', 'stream', EPOCH, true), open('e', 'session', EPOCH))
        await other.send(open('f', 'elsewhere', EPOCH, true))
        await store.heartbeat(gone.instance, EPOCH + 1000)
        const heartbeat = await store.heartbeat(other.instance, EPOCH + 9000)
        t.match(heartbeat, { lostAt: null, others: [{ id: gone.instance.id, heartbeatAt: EPOCH + 1000 }] })

        t.equal(
          await store.loseStreams(gone.instance.id, EPOCH + 999, EPOCH + 9000),
          0,
          'it was heard of since then'
        )
        t.equal(await store.loseStreams(gone.instance.id, EPOCH + 1000, EPOCH + 9000), 1)
        t.equal(await store.loseStreams(gone.instance.id, EPOCH + 1000, EPOCH + 9001), 0, 'once')
        t.match(await store.session('stream'), [{ reason: 'lost', disconnectAt: EPOCH + 1000 }])
        t.match(await store.session('session'), [{ reason: null }])
        t.same((await store.heartbeat(other.instance, EPOCH + 9500)).others, [])
        const [first, second] = await store.instances(EPOCH + 999)
        t.same(first, { id: other.instance.id, heartbeatAt: EPOCH + 9500, isLost: false })
        t.same(second, { id: gone.instance.id, heartbeatAt: EPOCH + 1000, isLost: true })
        t.equal((await store.instances(EPOCH + 1000)).length, 1, 'one not heard of since then is left out')

        const awake = await store.heartbeat(gone.instance, EPOCH + 10_000)
        t.equal(awake.lostAt, EPOCH + 1000, 'it learns that it was taken for lost')
        await gone.send(use('e', 'stream', EPOCH + 10_000, 0))
        t.match(await store.session('stream'), [{ reason: null, disconnectAt: EPOCH }])
        t.same(await store.counts({}), [
          { endpointId: 'e', connectNum: 2 },
          { endpointId: 'f', connectNum: 1 }
        ])
        await holdsInvariant(t, store, { start: EPOCH - MINUTE, end: EPOCH + 3 * MINUTE, peak: true })
      }
    )

    withStore(
      'a session not used for the timeout is idle since then; a use takes that back',
      async (t, store) => {
        const sender = await new Sender(store).start()
        await sender.send(
          open('e', 'idle', EPOCH),
          open('e', 'used', EPOCH),
          open('e', 'stream', EPOCH, true)
        )
        await sender.send(use('e', 'used', EPOCH + 1))
        t.same(await store.closeIdle(EPOCH + TIMEOUT - 1), [])
        t.same(await store.closeIdle(EPOCH + TIMEOUT), [{ endpointId: 'e', sessionId: 'idle', transport: 2 }])
        t.match(await store.session('idle'), [{ reason: 'idle', disconnectAt: EPOCH + TIMEOUT }])
        t.match(await store.session('used'), [{ reason: null }])
        t.equal(
          (await store.closeIdle(EPOCH + 10 * TIMEOUT)).length,
          1,
          'a legacy session lives as long as its stream'
        )
        await sender.send(use('e', 'idle', EPOCH + TIMEOUT + 7))
        t.match(await store.session('idle'), [{ reason: null, connectAt: EPOCH, disconnectAt: EPOCH }])
        await holdsInvariant(t, store, { start: EPOCH - MINUTE, end: EPOCH + 12 * MINUTE, peak: true })
      },
      { idleTimeoutMs: TIMEOUT }
    )

    withStore(
      'a session that was idle before its end ended as idle, whatever is told first',
      async (t, store) => {
        const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
        await one.send(open('e', 'a', EPOCH))
        await two.send(close('e', 'a', EPOCH + 3 * MINUTE))
        t.match(await store.session('a'), [{ reason: 'idle', disconnectAt: EPOCH + MINUTE }])
        await one.send(use('e', 'a', EPOCH + MINUTE))
        t.match(await store.session('a'), [{ reason: 'idle', disconnectAt: EPOCH + 2 * MINUTE }])
        await one.send(use('e', 'a', EPOCH + 2 * MINUTE))
        t.match(await store.session('a'), [{ reason: 'delete', disconnectAt: EPOCH + 3 * MINUTE }])
        await two.send(open('e', 'b', EPOCH, true), close('e', 'b', EPOCH + 3 * MINUTE))
        t.match(await store.session('b'), [{ reason: 'delete' }], 'a stream does not idle')
        await one.send(close('e', 'c', EPOCH + 3 * MINUTE))
        await two.send(open('e', 'c', EPOCH))
        t.match(await store.session('c'), [{ reason: 'idle', disconnectAt: EPOCH + MINUTE }])
        await holdsInvariant(t, store, { start: EPOCH - MINUTE, end: EPOCH + 4 * MINUTE, peak: true })
      },
      { idleTimeoutMs: MINUTE }
    )

    withStore('a session is of the proxy that saw it last', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      await one.send(open('e', 'a', EPOCH))
      await two.send(use('e', 'a', EPOCH + 5))
      await one.send(use('e', 'a', EPOCH + 4))
      t.match(await store.session('a'), [{ seenBy: two.instance.id }])
    })

    withStore('totals: sessions open, and sessions ever opened, deleted ones too', async (t, store) => {
      const sender = await new Sender(store).start()
      t.same(await store.totals({}), { openNum: 0, openedNum: 0 })
      await sender.send(
        open('e', 'a', EPOCH),
        open('e', 'b', EPOCH),
        open('f', 'a', EPOCH),
        use('e', 'a', EPOCH - 5)
      )
      await sender.send(close('e', 'a', EPOCH + 5), open('e', 'c', EPOCH), close('e', 'c', EPOCH + 9))
      t.equal(await store.deleteEnded(EPOCH + 1_000), 2)
      await store.deleteRollups(EPOCH + 2 * DAY)
      t.same(await store.totals({}), { openNum: 2, openedNum: 4 })
      t.same(await store.totals({ endpointId: 'e' }), { openNum: 1, openedNum: 3 })
      t.same(await store.totals({ endpointId: 'nowhere' }), { openNum: 0, openedNum: 0 })
    })

    withStore('a snapshot: rows and totals of one moment, whatever is written', async (t, store) => {
      const sender = await new Sender(store).start()
      const seen = new Set<number>()
      const writing = async (): Promise<void> => {
        for (let i = 0; seen.size < 30; i++) {
          await sender.send(open('e', `s${i}`, EPOCH + i), open('f', `s${i}`, EPOCH + i))
          if (i % 3 > 0) await sender.send(close('e', `s${i}`, EPOCH + i + 1))
        }
      }
      const looking = async (): Promise<void> => {
        while (seen.size < 30) {
          const query = { ...FOREVER, endpointId: 'e', open: true, limit: 100_000 }
          const { rows, totals } = await store.snapshot(query)
          if (rows.length !== totals.openNum) t.equal(rows.length, totals.openNum)
          seen.add(totals.openedNum)
        }
      }
      await Promise.all([writing(), looking()])
      const { rows, totals } = await store.snapshot({ ...FOREVER, open: true, limit: 3 })
      t.same(totals, await store.totals({}))
      t.same(rows, await store.connections({ ...FOREVER, open: true, limit: 3 }))
    })

    withStore(
      'the feed tells each open and close once, in their order',
      async (t, store) => {
        const sender = await new Sender(store).start()
        await sender.send(open('e', 'before', EPOCH))
        let { position } = await store.feed({ limit: 100 })
        const news = async (): Promise<string[]> => {
          const part = await store.feed({ after: position, limit: 100 })
          position = part.position
          return part.changes.map(change =>
            change.kind === 'opened'
              ? `${change.session.endpointId} ${change.session.sessionId} opened`
              : `${change.endpointId} ${change.sessionId} ${change.reason} ${change.disconnectAt - change.connectAt}`
          )
        }
        t.same(await news(), [])
        await sender.send(open('e', 'a', EPOCH), use('e', 'before', EPOCH + 1))
        t.same(await news(), ['e a opened'])
        await sender.send(close('e', 'a', EPOCH + 7), open('f', 'b', EPOCH), close('f', 'b', EPOCH + 3))
        t.same(await news(), ['e a delete 7', 'f b opened', 'f b delete 3'])
        await sender.send(close('e', 'a', EPOCH + 9), close('e', 'a', EPOCH + 6))
        t.same(await news(), [], 'a close is not told again')
        await store.closeIdle(EPOCH + 2 * MINUTE)
        t.same(await news(), [`e before idle ${MINUTE + 1}`])
        await sender.send(use('e', 'before', EPOCH + 2 * MINUTE))
        t.same(await news(), ['e before opened'], 'it was never gone')
        const { changes } = await store.feed({ after: position - 1, limit: 1 })
        t.match(changes, [{ session: { requestCount: 3, connectAt: EPOCH, reason: null } }])
        t.equal(await store.deleteFeed(EPOCH), 0)
        t.equal(await store.deleteFeed(EPOCH + 1), 7, 'what came between them goes too')
        await sender.send(close('e', 'before', EPOCH + 3 * MINUTE))
        t.same(await news(), [`e before delete ${3 * MINUTE}`], 'positions go on')
      },
      { idleTimeoutMs: MINUTE }
    )

    withStore('who follows the feed while proxies write misses nothing', async (t, store) => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      const states = new Map<string, string[]>()
      let { position } = await store.feed({ limit: 7 })
      let writing = true
      const follow = async (): Promise<void> => {
        for (let last = false; !last;) {
          last = !writing
          for (let more = true; more;) {
            const part = await store.feed({ after: position, limit: 7 })
            more = part.position > position
            position = part.position
            for (const change of part.changes) {
              const { endpointId, sessionId } = change.kind === 'opened' ? change.session : change
              const key = `${endpointId} ${sessionId}`
              states.set(key, [...(states.get(key) ?? []), change.kind])
            }
          }
        }
      }
      const write = async (name: string): Promise<void> => {
        const sender = await new Sender(store).start()
        for (let batch = 0; batch < 40; batch++) {
          const events = Array.from({ length: random.int(1, 20) }, (_, i) => [
            open(`e${random.int(0, 1)}`, `${name}${batch}-${i}`, EPOCH),
            close('e0', `${name}${random.int(0, batch)}-${i}`, EPOCH + 10)
          ])
          await sender.send(...events.flat())
        }
      }
      const following = follow()
      await Promise.all(['x', 'y', 'z'].map(write))
      writing = false
      await following
      const rows = await allRows(store)
      const expected = rows.map(row => [
        `${row.endpointId} ${row.sessionId}`,
        row.reason === null ? ['opened'] : ['opened', 'closed']
      ])
      t.ok(rows.length > 300)
      t.strictSame(states, new Map(expected as [string, string[]][]))
    })

    withStore('retention deletes what ended long ago, and counts and series stay', async (t, store) => {
      const sender = await new Sender(store).start()
      await sender.send(
        open('e', 'old', EPOCH),
        close('e', 'old', EPOCH + 90_000),
        open('e', 'open', EPOCH),
        open('e', 'long', EPOCH + 1),
        close('e', 'long', EPOCH + DAY)
      )
      const range = { start: EPOCH, end: EPOCH + 3 * MINUTE, peak: false }
      const before = await allPoints(store, range)
      t.equal(await store.deleteEnded(EPOCH + 90_000), 0)
      t.equal(await store.deleteEnded(EPOCH + 90_001), 1)
      t.same((await allRows(store)).map(row => row.sessionId).sort(), ['long', 'open'])
      t.strictSame(await allPoints(store, range), before)
      const peaks = (await allPoints(store, { ...range, peak: true })).map(point => point.peak)
      t.strictSame(peaks, [null, null, null, null], 'no peak can be told any more')
      t.equal(await store.deleteRollups(EPOCH + DAY - 1), 0, 'of whole days only')
      t.equal(await store.deleteRollups(EPOCH + DAY), 3, 'two minutes and a day')
      const after = { start: EPOCH + DAY - MINUTE, end: EPOCH + DAY + MINUTE, peak: false }
      t.same(
        (await allPoints(store, after)).map(point => point.connectNum),
        [2, 1, 1],
        'what comes later is as it was'
      )
    })

    withStore('an early end is forgotten in time, and applied if its open came unseen', async (t, store) => {
      const sender = await new Sender(store).start()
      await sender.send(close('e', 'nobody', EPOCH))
      t.equal(await store.settleEarlyCloses(EPOCH, EPOCH), 0)
      t.equal(await store.settleEarlyCloses(EPOCH + 1, EPOCH), 1)
      t.equal(await store.settleEarlyCloses(EPOCH + 1, EPOCH), 0)
      t.same(await allRows(store), [])
    })

    withStore('early ends of sessions that never were do not pile up', async (t, store) => {
      const sender = await new Sender(store).start()
      const gone = (i: number): LedgerEvent => ({
        ...(close('e', `made-up-${i}`, EPOCH) as CloseEvent),
        reason: 'gone',
        transport: Transport.streamable
      })
      for (let i = 0; i < 11_200; i += 1_400)
        await sender.send(...Array.from({ length: 1_400 }, (_, j) => gone(i + j)))
      let settled = 0
      for (let batch = -1; batch !== 0; settled += batch) batch = await store.settleEarlyCloses(0, EPOCH)
      t.ok(settled >= 1_200 && settled < 1_200 + 500, `${settled} settled`)
      t.same(await allRows(store), [])
    })

    withStore('ids and agents of any content stay data', async (t, store) => {
      const sender = await new Sender(store).start()
      const nasty = `x'";--\\%_`
      const event = open(nasty, nasty, EPOCH)
      if (event.type === 'open') event.userAgent = `Robert'); DROP TABLE endpoint_logs_v2;-- \u00e4\u{1f600}`
      await sender.send(event)
      t.match(await store.connections({ ...FOREVER, endpointId: nasty, limit: 10 }), [
        { endpointId: nasty, sessionId: nasty, userAgent: event.type === 'open' ? event.userAgent : null }
      ])
    })

    withStore('endpoints of all characters are apart, in the order of their bytes', async (t, store) => {
      const ids = [...ENDPOINTS, 'E', 'e\u0301', 'É', '知识'].toSorted(byBytes)
      const senders = [await new Sender(store).start(), await new Sender(store).start()]
      const events = ids.map(id => open(id, 's', EPOCH))
      await Promise.all([senders[0]!.send(...events), senders[1]!.send(...events.toReversed())])
      t.strictSame(
        await store.counts({}),
        ids.map(endpointId => ({ endpointId, connectNum: 1 }))
      )
      t.strictSame((await store.session('s')).map(row => row.endpointId).toSorted(), ids.toSorted())
      for (const endpointId of ids) {
        t.equal((await store.connections({ ...FOREVER, endpointId, limit: 10 })).length, 1)
        t.same(await store.totals({ endpointId }), { openNum: 1, openedNum: 1 })
      }
      const { open: census } = await store.census({ named: ids })
      t.strictSame(census.map(({ endpointId }) => endpointId).toSorted(), ids.toSorted())
      await senders[0]!.send(close('知识库', 's', EPOCH + 1))
      t.same(await store.counts({ endpointId: '知识库' }), [{ endpointId: '知识库', connectNum: 0 }])
      await holdsInvariant(t, store, { start: EPOCH, end: EPOCH + MINUTE, peak: true })
    })

    withStore('the order in which two proxies tell their facts does not matter', async (t, store) => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      // Times four rounds: 10,000 sessions, each told in an order of its own.
      const SESSIONS = 2_500
      const outcomes = new Map<number, Map<string, string>>()
      const history = randomHistory(random, SESSIONS, 1)
      for (const round of [0, 1, 2, 3]) {
        const rename = (id: string): string => `r${round}-${id}`
        const senders = [await new Sender(store).start(), await new Sender(store).start()]
        const renamed = history.map(event =>
          event.type === 'restart' || event.type === 'tool'
            ? event
            : { ...event, endpointId: rename(event.endpointId), sessionId: rename(event.sessionId) }
        )
        const shuffled = round === 0 ? renamed : random.shuffle(renamed)
        const halves = [shuffled.filter((_, i) => i % 2 === 0), shuffled.filter((_, i) => i % 2 === 1)]
        await Promise.all(
          senders.map(async (sender, i) => {
            const own = halves[i]!
            for (let from = 0; from < own.length;) {
              const length = random.int(1, 40)
              await sender.send(...own.slice(from, from + length))
              from += length
            }
          })
        )
        const rows = (await allRows(store)).filter(row => row.sessionId.startsWith(`r${round}-`))
        t.equal(rows.length, SESSIONS)
        const outcome = rows.map(row => {
          const { clientAddress: _a, userAgent: _u, transport: _t, seenBy: _s, ...fact } = facts(row)
          return [
            row.sessionId.slice(3),
            JSON.stringify({ ...fact, endpointId: row.endpointId.slice(3), sessionId: '', holder: 0 })
          ] as const
        })
        outcomes.set(round, new Map(outcome))
      }
      for (const round of [1, 2, 3])
        t.strictSame(outcomes.get(round), outcomes.get(0), `round ${round} ends as round 0`)
      await holdsInvariant(t, store, { start: EPOCH, end: EPOCH + 10 * MINUTE, peak: true })
    })

    withStore('queries equal a brute-force computation over 10,000 random sessions', async (t, store) => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      const DAYS = 4
      const sender = await new Sender(store).start()
      const history = randomHistory(random, 10_000, DAYS)
      for (let from = 0; from < history.length; from += 1000)
        await sender.send(...history.slice(from, from + 1000))
      const rows = await allRows(store)
      t.equal(rows.length, 10_000)
      const endpointIds = (await store.counts({})).map(count => count.endpointId)

      for (let i = 0; i < 60; i++) {
        const start = EPOCH + random.int(-MINUTE * 60, DAYS * DAY)
        const end = start + random.pick([0, 1, 999, MINUTE, 60 * MINUTE, DAY])
        const filter = {
          start: random.chance(0.3) ? Math.floor(start / MINUTE) * MINUTE : start,
          end,
          ...(random.chance(0.7) && { endpointId: random.pick(['e0', 'e3', 'nowhere']) }),
          ...(random.chance(0.3) && { transport: random.pick([1, 2] as const) }),
          ...(random.chance(0.3) && { open: random.chance(0.5) })
        }
        const limit = random.pick([3, 100, 5000])
        const expected = bruteConnections(rows, filter)
        const found: SessionRow[] = []
        for (let pages = 0; pages < 40; pages++) {
          const last = found.at(-1)
          const page = await store.connections({ ...filter, limit, ...(last && { after: last }) })
          found.push(...page)
          if (page.length < limit) break
        }
        const same = JSON.stringify(found) === JSON.stringify(expected.slice(0, found.length))
        if (!same || found.length < Math.min(expected.length, 40 * limit)) {
          t.fail('connections', { filter, limit, found: found.length, expected: expected.length })
        }
      }
      for (let i = 0; i < 12; i++) {
        const start = Math.floor((EPOCH + random.int(-DAY, DAYS * DAY)) / MINUTE) * MINUTE
        const minutes = random.pick([0, 1, 59, 600])
        const query = {
          start,
          end: start + minutes * MINUTE,
          peak: random.chance(0.7),
          ...(random.chance(0.5) && { endpointId: random.pick(endpointIds) })
        }
        const expected = bruteSeries(
          rows,
          query.endpointId === undefined ? endpointIds : [query.endpointId],
          query
        )
        const points = await allPoints(store, query)
        t.ok(JSON.stringify(points) === JSON.stringify(expected), `series ${JSON.stringify(query)}`)
      }
      for (const transport of [1, 2, 3] as const) {
        const expected = endpointIds.map(endpointId => ({
          endpointId,
          connectNum: rows.filter(
            row => row.endpointId === endpointId && row.transport === transport && row.reason === null
          ).length
        }))
        t.strictSame(await store.counts({ transport }), expected, 'endpoints with none open are told too')
        t.strictSame(await store.counts({ endpointId: 'e1', transport }), [expected[1]])
      }
    })
  }
}
