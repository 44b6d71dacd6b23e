// Owns the contract of the store port for events: each opening, end and reopening once, as it was, on every adapter.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { EventsPart, EventsQuery, StoredEvent } from '../../../src/ledger/event-port.js'
import type { LedgerRules, Store } from '../../../src/ledger/store-port.js'
import type { CloseEvent, OpenEvent, UseEvent, VisitEvent } from '../../../src/sessions/events.js'
import { Random } from '../random.js'
import { EPOCH, Sender, storeTests } from './store-tests.js'

const MINUTE = 60_000
const FOR_EVER = { keptMs: 0, limit: 1_000 }

const open = (sessionId: string, at: number, more: Partial<OpenEvent> = {}): OpenEvent => ({
  type: 'open',
  endpointId: 'e',
  sessionId,
  transport: 2,
  at,
  clientAddress: '192.0.2.1',
  userAgent: 'test',
  requests: 1,
  held: false,
  ...more
})
const use = (sessionId: string, at: number): UseEvent => ({
  type: 'use',
  endpointId: 'e',
  sessionId,
  transport: 2,
  at,
  requests: 2
})
const close = (sessionId: string, at: number, endpointId = 'e'): CloseEvent => ({
  type: 'close',
  endpointId,
  sessionId,
  at,
  reason: 'delete'
})

/** A part that must be there. */
async function read(t: Test, store: Store, query: Partial<EventsQuery> = {}): Promise<EventsPart> {
  const part = await store.events({ ...FOR_EVER, ...query })
  if (typeof part === 'string') throw new Error(`events are ${part}`)
  t.ok(part.events.length <= (query.limit ?? FOR_EVER.limit))
  return part
}

/** All that follows a place, in pages. */
async function readAll(t: Test, store: Store, query: Partial<EventsQuery> = {}): Promise<StoredEvent[]> {
  const all: StoredEvent[] = []
  let part: EventsPart | undefined
  do {
    part = await read(t, store, { ...query, ...(part && { after: part.position }) })
    all.push(...part.events)
  } while (part.more)
  return all
}

const inWords = (events: readonly StoredEvent[]): string[] =>
  events.map(({ kind, sessionId }) => `${sessionId} ${kind}`)

export const eventsContract =
  (name: string, openStore: (rules: LedgerRules) => Promise<Store>) =>
  (t: Test): void => {
    const withStore = storeTests(t, name, openStore, { idleTimeoutMs: MINUTE })

    withStore('events tell each open, close and reopen as it was', async (t, store) => {
      const start = await store.eventsEnd()
      t.same(await read(t, store), { events: [], start, position: start, more: false })
      const sender = await new Sender(store).start()
      await sender.send(open('a', EPOCH, { principal: { kind: 'header', name: 'ann' } }))
      await store.closeIdle(EPOCH + 2 * MINUTE)
      await sender.send(use('a', EPOCH + 3 * MINUTE))
      await sender.send(close('a', EPOCH + 3 * MINUTE + 5), open('b', EPOCH), close('b', EPOCH + 1))
      await sender.send(close('a', EPOCH + 3 * MINUTE + 4))
      const { events, position, more } = await read(t, store, { after: start })
      const was = { endpointId: 'e', sessionId: 'a', transport: 2, connectAt: EPOCH }
      t.match(events, [
        { ...was, kind: 'opened', disconnectAt: EPOCH, reason: null, requestCount: 1, notedAt: EPOCH },
        { ...was, kind: 'closed', disconnectAt: EPOCH + MINUTE, reason: 'idle', requestCount: 1 },
        { ...was, kind: 'reopened', disconnectAt: EPOCH, reason: null, requestCount: 3 },
        { ...was, kind: 'closed', disconnectAt: EPOCH + 3 * MINUTE + 5, reason: 'delete', requestCount: 3 },
        { sessionId: 'b', kind: 'opened', reason: null },
        { sessionId: 'b', kind: 'closed', disconnectAt: EPOCH + 1 }
      ])
      t.match(events[0]!.session, { principal: 'ann', clientAddress: '192.0.2.1', userAgent: 'test' })
      t.equal(more, false)
      t.equal(position, await store.eventsEnd())
      t.equal(events.at(-1)!.position, position)
      t.equal((await read(t, store)).start, '0-' + position.split('-').slice(1).join('-'))
      t.equal(new Set(events.map(({ id }) => id)).size, 6)
      for (const [i, event] of events.entries())
        t.strictSame((await read(t, store, { after: event.position })).events, events.slice(i + 1))
    })

    withStore('events can be narrowed, and the place moves on all the same', async (t, store) => {
      const sender = await new Sender(store).start()
      for (let i = 0; i < 6; i++) {
        const endpointId = `e${i % 3}`
        await sender.send(open(`s${i}`, EPOCH, { endpointId }), close(`s${i}`, EPOCH + 1, endpointId))
      }
      for (const limit of [1, 2, 5, 100]) {
        t.strictSame(inWords(await readAll(t, store, { limit, endpointId: 'e1' })), [
          ...['s1 opened', 's1 closed', 's4 opened', 's4 closed']
        ])
        t.strictSame(inWords(await readAll(t, store, { limit, endpointId: 'e2', kinds: ['closed'] })), [
          ...['s2 closed', 's5 closed']
        ])
        t.equal((await readAll(t, store, { limit, kinds: ['opened', 'reopened'] })).length, 6)
        t.equal((await readAll(t, store, { limit })).length, 12)
      }
      const nothing = { events: [], position: await store.eventsEnd(), more: false }
      t.match(await read(t, store, { endpointId: 'none' }), nothing)
      t.match(await read(t, store, { kinds: ['reopened'] }), nothing)
      t.match(await read(t, store, { kinds: [] }), nothing)
    })

    withStore('a place expires with the events after it, and with no others', async (t, store) => {
      const sender = await new Sender(store, EPOCH).start()
      const later = await new Sender(store, EPOCH + MINUTE).start()
      const start = await store.eventsEnd()
      await sender.send(open('a', EPOCH))
      const afterA = await store.eventsEnd()
      await later.send(open('b', EPOCH))
      // Of an instance whose clock is behind.
      await sender.send(open('c', EPOCH))
      const afterC = await store.eventsEnd()
      await later.send(open('d', EPOCH))
      const end = await store.eventsEnd()
      const ask = (after: string, keptMs = 0) => store.events({ ...FOR_EVER, after, keptMs })
      t.equal(await ask(start, 1), 'expired', 'they are too old')
      t.equal(await ask(afterC, 1), 'expired')
      t.match(await ask(end, 1), { events: [] }, 'nothing came after it')
      t.match(await store.events({ ...FOR_EVER, keptMs: 1 }), { events: [], position: end })
      t.match(await ask(start), { events: { length: 4 } })
      t.equal(await store.deleteFeed(EPOCH), 0)
      t.equal(await store.deleteFeed(EPOCH + 1), 3, 'no gap is left')
      t.equal(await ask(start), 'expired')
      t.equal(await ask(afterA), 'expired')
      t.match(await ask(afterC), { events: [{ sessionId: 'd' }] })
      t.strictSame(inWords(await readAll(t, store)), ['d opened'])
      t.equal(await store.deleteFeed(EPOCH + MINUTE + 1), 1)
      t.equal(await ask(afterC), 'expired')
      t.match(await ask(end), { events: [], position: end })
      await sender.send(close('d', EPOCH + 2 * MINUTE))
      t.match(await ask(end), { events: [{ sessionId: 'd', kind: 'closed' }] })
    })

    withStore('a place of another store is expired, and other text is unreadable', async (t, store) => {
      const ask = (after: string) => store.events({ ...FOR_EVER, after })
      t.match(await ask('0-0'), { events: [] })
      t.equal(await ask('3-abcdefgh'), 'expired')
      const sender = await new Sender(store).start()
      await sender.send(open('a', EPOCH), open('b', EPOCH))
      t.match(await ask('0-0'), { events: { length: 2 } }, 'nothing came before it')
      t.equal(await ask('1-abcdefgh'), 'expired')
      t.equal(await ask((await store.eventsEnd()).replace('2-', '3-')), 'expired')
      for (const text of ['1', '', '-', 'x-y', '1-', `${'9'.repeat(16)}-a`, "1-'", '1-a b'])
        t.equal(await ask(text), 'unreadable', text)
    })

    withStore('no event tells an erased name, or what was deleted with a row', async (t, store) => {
      const sender = await new Sender(store).start()
      const principal = { kind: 'header' as const, name: 'ann' }
      await sender.send(
        open('a', EPOCH, { principal }),
        close('a', EPOCH + 1),
        open('b', EPOCH, { principal })
      )
      await store.erasePrincipal('ann', EPOCH)
      const events = await readAll(t, store)
      t.strictSame(inWords(events), ['a opened', 'a closed', 'b opened'])
      t.notMatch(JSON.stringify(events), 'ann')
      t.match(events[0]!.session?.principal, /^erased-/)
      await store.deleteEnded(EPOCH + 2)
      t.strictSame(
        (await readAll(t, store)).map(({ session }) => session?.sessionId),
        [undefined, undefined, 'b'],
        'the events stay'
      )
    })

    withStore('a visit that turns out to be a part of another one closes', async (t, store) => {
      const sender = await new Sender(store).start()
      const visit = (at: number): VisitEvent => ({
        ...{ type: 'visit', endpointId: 'e', visitor: 'v', sessionId: `visit-${at}`, from: at, at },
        ...{ clientAddress: '192.0.2.1', userAgent: null, requests: 1 },
        who: { clientName: null, clientVersion: null, protocolVersion: null }
      })
      await sender.send(visit(EPOCH))
      await sender.send(visit(EPOCH + MINUTE + 30_000))
      await sender.send(visit(EPOCH + 45_000))
      const open = new Set<string>()
      for (const { kind, sessionId } of await readAll(t, store)) {
        t.equal(open.has(sessionId), kind === 'closed')
        if (kind === 'closed') open.delete(sessionId)
        else open.add(sessionId)
      }
      const rows = await store.connections({ start: 0, end: EPOCH + 10 * MINUTE, limit: 10 })
      t.equal(rows.length, 1)
      t.strictSame(open, new Set(rows.map(row => row.sessionId)))
    })

    withStore('one at a time delivers to a webhook, from where the one before stopped', async (t, store) => {
      const ask = (holder: string, leaseMs: number, position?: string, webhook = 'w') =>
        store.takeWebhookTurn({ webhook, holder, leaseMs, ...(position && { position }) })
      const asked = await Promise.all(['a', 'b', 'c'].map(holder => ask(holder, 60_000)))
      t.equal(asked.filter(turn => turn !== undefined).length, 1)
      const [holder = '', other = ''] = ['a', 'b', 'c'].sort(
        (x, y) =>
          Number(asked['abc'.indexOf(y)] !== undefined) - Number(asked['abc'.indexOf(x)] !== undefined)
      )
      t.strictSame(await ask(holder, 60_000), {})
      t.strictSame(await ask(holder, 60_000, '5-x'), { position: '5-x' })
      t.equal(await ask(other, 60_000), undefined)
      t.strictSame(await ask(other, 60_000, undefined, 'another'), {}, 'each webhook has its own')
      t.strictSame(await ask(holder, 0, '6-x'), { position: '6-x' }, 'it is given back')
      t.strictSame(await ask(other, 1), { position: '6-x' })
      t.equal(await ask(holder, 60_000, '7-x'), undefined, 'who lost it may not say how far it got')
      await sleep(20)
      t.strictSame(await ask(other, 1, '8-x'), { position: '8-x' }, 'unless nobody took it meanwhile')
      await sleep(20)
      t.strictSame(await ask(holder, 60_000), { position: '8-x' })
      t.equal(await ask(other, 60_000, '9-x'), undefined)
    })

    withStore('who follows the events of several proxies misses and repeats none', async (t, store) => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      let writing = true
      const seen: StoredEvent[] = []
      let after = await store.eventsEnd()
      const follow = async (): Promise<void> => {
        for (let isLast = false; !isLast;) {
          isLast = !writing
          for (let more = true; more;) {
            const part = await read(t, store, { after, limit: random.int(1, 9) })
            seen.push(...part.events)
            ;({ position: after, more } = part)
          }
        }
      }
      const write = async (name: string): Promise<void> => {
        const sender = await new Sender(store).start()
        for (let batch = 0; batch < 30; batch++) {
          const sessionId = `${name}${random.int(0, 20)}`
          await sender.send(open(`${name}-${batch}`, EPOCH), use(sessionId, EPOCH + batch * MINUTE))
          if (random.chance(0.3)) await store.closeIdle(EPOCH + batch * MINUTE)
          if (random.chance(0.3)) await sender.send(close(sessionId, EPOCH + batch * MINUTE))
        }
      }
      const following = follow()
      await Promise.all(['x', 'y'].map(write))
      writing = false
      await following
      t.strictSame(
        seen.map(({ id }) => id),
        (await readAll(t, store)).map(({ id }) => id)
      )
      const isOpen = new Set<string>()
      for (const { sessionId, kind } of seen) {
        const isRight = isOpen.has(sessionId) === (kind === 'closed')
        if (!isRight) t.fail(`${kind} of ${sessionId} comes in its turn`)
        if (kind === 'closed') isOpen.delete(sessionId)
        else isOpen.add(sessionId)
      }
      const query = { start: 0, end: EPOCH + 1_000 * MINUTE, open: true, limit: 10_000 }
      const rows = await store.connections(query)
      t.strictSame(
        [...isOpen].sort(),
        rows.map(row => row.sessionId).sort(),
        'what is open is what events say'
      )
    })
  }
