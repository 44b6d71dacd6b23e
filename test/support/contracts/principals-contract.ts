// Owns the contract of the store port for principals and conversations: whose sessions are, on every adapter.
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import type {
  LedgerRules,
  PrincipalRow,
  SessionRow,
  SessionsFilter,
  SharedSession,
  Store
} from '../../../src/ledger/store-port.js'
import { unknownClient } from '../../../src/mcp/client-info.js'
import type { Principal } from '../../../src/mcp/principal.js'
import type { LedgerEvent, OpenEvent, UseEvent, VisitEvent } from '../../../src/sessions/events.js'
import { bruteConnections, bruteOpenCounts, brutePrincipals, byBytes, isAsked } from '../brute-force.js'
import { Random } from '../random.js'
import { EPOCH, Sender, storeTests } from './store-tests.js'

const EVER = { start: 0, end: EPOCH + 1_000_000_000, limit: 10_000 }

const named = (name: string, oauthClient?: string): Principal => ({
  kind: 'oauth',
  name,
  ...(oauthClient !== undefined && { oauthClient })
})

const open = (sessionId: string, at: number, whose: Partial<OpenEvent> = {}): OpenEvent => ({
  type: 'open',
  endpointId: 'e',
  sessionId,
  transport: 2,
  at,
  clientAddress: '127.0.0.1',
  userAgent: null,
  requests: 1,
  held: false,
  ...whose
})

const use = (sessionId: string, at: number, whose: Partial<UseEvent> = {}): UseEvent => ({
  type: 'use',
  endpointId: 'e',
  sessionId,
  transport: 2,
  at,
  requests: 1,
  ...whose
})

const visit = (visitor: string, at: number, whose: Partial<VisitEvent> = {}): VisitEvent => ({
  type: 'visit',
  endpointId: 'e',
  sessionId: randomUUID(),
  visitor,
  from: at,
  at,
  clientAddress: '127.0.0.1',
  userAgent: null,
  requests: 1,
  who: unknownClient,
  ...whose
})

export function principalsContract(
  name: string,
  openStore: (rules: LedgerRules) => Promise<Store>
): (t: Test) => void {
  return t => {
    const withStore = storeTests(t, name, openStore)

    withStore(
      'of several principals and conversations the first counts, told in any order',
      async (t, store) => {
        const random = new Random()
        const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
        const ids = Array.from({ length: 40 }, (_, i) => `s${i}`)
        const events = ids.flatMap(id =>
          Array.from({ length: random.int(1, 6) }, () => {
            const at = EPOCH + random.int(0, 4)
            const whose = {
              ...(random.chance(0.7) && {
                principal: named(
                  random.pick(['ann', 'bob', 'Ann', 'größe']),
                  random.pick(['x', 'y', undefined])
                )
              }),
              ...(random.chance(0.5) && { conversation: random.pick(['c1', 'c2']) })
            }
            return random.chance(0.3) ? open(id, at, whose) : use(id, at, whose)
          })
        )
        const shared: SharedSession[] = []
        for (let left = random.shuffle(events); left.length > 0;)
          shared.push(...(await random.pick([one, two]).send(...left.splice(0, random.int(1, 9)))).shared)
        const rows = new Map((await store.connections(EVER)).map(row => [row.sessionId, row]))
        for (const id of ids) {
          const own = events.filter(event => event.sessionId === id)
          const first = <T>(texts: (event: OpenEvent | UseEvent) => T | undefined): T | null =>
            own
              .map(event => ({ event, text: texts(event) }))
              .filter(({ text }) => text !== undefined)
              .sort((a, b) => a.event.at - b.event.at || (String(a.text) < String(b.text) ? -1 : 1))[0]
              ?.text ?? null
          const told = first(
            ({ principal }) => principal && `${principal.name}\n${principal.oauthClient ?? ''}`
          )
          const row = rows.get(id)!
          t.equal(row.principal === null ? null : `${row.principal}\n${row.oauthClient ?? ''}`, told, id)
          t.equal(row.principalKind, told === null ? null : 'oauth')
          t.equal(
            row.conversation,
            first(({ conversation }) => conversation)
          )
        }
        const mixed = ids.filter(
          id =>
            new Set(events.flatMap(event => (event.sessionId === id ? (event.principal?.name ?? []) : [])))
              .size > 1
        )
        t.equal(shared.length, mixed.length, 'a session of two principals is told once')
        t.same([...new Set(shared.map(({ endpointId }) => endpointId))], mixed.length > 0 ? ['e'] : [])
      }
    )

    withStore('a fingerprint is the same for all proxies, and keyed', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      const key: Principal = { kind: 'key', name: 'digest of a key', isDigest: true }
      const principal: Principal = { kind: 'oauth', name: 'digest of a key', isDigest: true }
      await one.send(open('a', EPOCH, { principal: key }), open('b', EPOCH, { principal }))
      t.same((await two.send(use('a', EPOCH + 1, { principal: key }))).shared, [], 'the same one')
      await two.send(visit('v', EPOCH, { principal: key, conversation: 'c' }))
      const rows = await store.connections(EVER)
      const of = (id: string): string | null | undefined => rows.find(row => row.sessionId === id)?.principal
      t.match(of('a'), /^key-[\w-]{22}$/)
      t.match(of('b'), /^oauth-[\w-]{22}$/)
      t.match(
        rows.find(row => row.transport === 3),
        { principal: of('a'), principalKind: 'key', conversation: 'c' }
      )
      const other = await openStore({ idleTimeoutMs: 0 })
      t.teardown(() => other.close())
      await (await new Sender(other).start()).send(open('a', EPOCH, { principal: key }))
      t.not((await other.session('a'))[0]?.principal, of('a'), 'another store has another key')
    })

    withStore(
      'counts and lists equal the rows, whatever happened',
      async (t, store) => {
        const random = new Random()
        t.comment(`seed ${random.seed}`)
        const proxies = [await new Sender(store).start(), await new Sender(store).start()]
        const endpoints = ['e', 'f', '知识库']
        for (let round = 0; round < 12; round++) {
          const events = Array.from({ length: 30 }, () => randomEvent(random, endpoints, EPOCH + round * 40))
          for (const proxy of proxies) await proxy.send(...events.splice(0, random.int(5, 25)))
          if (random.chance(0.3)) await store.closeIdle(EPOCH + round * 40)
          if (random.chance(0.2)) await store.settleEarlyCloses(EPOCH + 1, EPOCH + round * 40)
          if (random.chance(0.2)) await store.deleteEnded(EPOCH + (round - 3) * 40)
          await equalsRows(t, store, endpoints)
        }
      },
      { idleTimeoutMs: 100 }
    )

    withStore('principals come page by page, the busiest first', async (t, store) => {
      const proxy = await new Sender(store).start()
      const names = Array.from({ length: 25 }, (_, i) => `p${i}`)
      for (const [i, name] of names.entries())
        await proxy.send(
          ...Array.from({ length: 1 + (i % 4) }, (_, j) =>
            open(`${name}-${j}`, EPOCH, { principal: named(name), endpointId: `e${j % 2}` })
          )
        )
      const listed: PrincipalRow[] = []
      for (let after: PrincipalRow | undefined; ;) {
        const page = await store.principals({ limit: 4, ...(after && { after }) })
        listed.push(...page)
        if (page.length < 4) break
        after = page.at(-1)
      }
      t.equal(listed.length, 25)
      t.same(listed.map(({ principal }) => principal).sort(), [...names].sort())
      const busy = listed.map(({ activeNum }) => activeNum)
      t.same(
        busy,
        [...busy].sort((a, b) => b - a)
      )
      t.match(listed[0], { activeNum: 4, sessionNum: 4, endpointIds: ['e0', 'e1'], kind: 'oauth' })
      t.equal((await store.principals({ endpointId: 'e1', limit: 99 })).length, 18)
      t.same(await store.principals({ endpointId: 'nowhere', limit: 99 }), [])
    })

    withStore('an erased name is in no row, whatever is told of it later', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      const ann = named('ann', 'ann')
      const many = Array.from({ length: 300 }, (_, i) => open(`s${i}`, EPOCH + i, { principal: ann }))
      await one.send(
        ...many,
        open('other', EPOCH, { principal: named('bob') }),
        visit('v', EPOCH, { principal: ann })
      )
      const { token, sessions } = await store.erasePrincipal('ann', EPOCH + 1_000)
      t.match(token, /^erased-[\w-]{16}$/)
      t.equal(sessions, 301)
      const names = async (): Promise<Set<string | null>> =>
        new Set((await store.connections(EVER)).flatMap(row => [row.principal, row.oauthClient]))
      t.same(await names(), new Set([token, 'bob', null]))
      t.same(
        await store.openCounts({}),
        { openNum: 302, principalNum: 2, conversationNum: 302 },
        'counts stay'
      )
      t.match(await store.principals({ limit: 9 }), [
        { principal: token, activeNum: 301, sessionNum: 301, requestNum: 301, kind: 'oauth' },
        { principal: 'bob' }
      ])

      // From an outbox that was not shipped.
      const { shared } = await two.send(
        open('late', EPOCH + 500, { principal: ann }),
        use('s1', EPOCH, { principal: ann }),
        use('s2', EPOCH + 2_000, { principal: ann }),
        visit('v', EPOCH + 2_000, { principal: ann }),
        open('s3', EPOCH + 2_000, { principal: ann })
      )
      t.same(
        await names(),
        new Set([token, 'bob', null]),
        'nor does it come back to a session that it was on'
      )
      t.same(shared, [], 'it is the same principal')
      t.match(await store.openCounts({ principal: token }), { openNum: 302 })
      await two.send(open('new', EPOCH + 2_000, { principal: ann }))
      t.match(await store.openCounts({ principal: 'ann' }), { openNum: 1 }, 'who comes back is stored again')
      const again = await store.erasePrincipal('ann', EPOCH + 1_000, { again: true })
      t.same(again, { token, sessions: 0 }, 'what is done again for late transactions leaves it so')
      t.same(await store.erasePrincipal('ann', EPOCH + 3_000), { token, sessions: 1 })
      t.same(await names(), new Set([token, 'bob', null]))
      t.match(await store.erasePrincipal('nobody', EPOCH), { sessions: 0 })
      await one.send(open('nobody', EPOCH - 1, { principal: named('nobody') }))
      t.notOk((await names()).has('nobody'), 'also where only an outbox knew it')
      t.match(await store.heartbeat(one.instance, EPOCH), { erasedAt: EPOCH + 3_000 })
      await equalsRows(t, store, ['e'])
    })

    withStore(
      'the open sessions of a principal come with the outbox offset that they include',
      async (t, store) => {
        const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
        const key: Principal = { kind: 'key', name: 'digest of a key', isDigest: true }
        const ask = async (principal: Principal, limit = 9) => {
          const asked = await store.principalSessions({ principal, instanceId: one.instance.id, limit })
          return { ...asked, rows: asked.rows.map(({ sessionId }) => sessionId) }
        }
        t.same(await ask(key), { openNum: 0, rows: [], appliedOffset: 0 }, 'without any key of fingerprints')
        await one.send(open('b', EPOCH + 1, { principal: named('ann') }))
        await two.send(
          ...['c', 'a'].map(id => open(id, id === 'a' ? EPOCH : EPOCH + 2, { principal: named('ann') })),
          open('ended', EPOCH, { principal: named('ann') }),
          { type: 'close', endpointId: 'e', sessionId: 'ended', at: EPOCH + 1, reason: 'delete' },
          open('other', EPOCH, { principal: key, endpointId: 'f' }),
          visit('v', EPOCH, { principal: named('ann') })
        )
        t.same(await ask(named('ann')), { openNum: 3, rows: ['a', 'b', 'c'], appliedOffset: 1 })
        t.same(await ask(named('ann'), 2), { openNum: 3, rows: ['a', 'b'], appliedOffset: 1 })
        t.same(await ask(named('ann'), 0), { openNum: 3, rows: [], appliedOffset: 1 })
        t.same(await ask(key), { openNum: 1, rows: ['other'], appliedOffset: 1 })
        await store.erasePrincipal('ann', EPOCH + 9)
        await one.send(open('later', EPOCH + 10, { principal: named('ann') }))
        t.match(await ask(named('ann')), { openNum: 4, rows: ['a', 'b', 'c', 'later'] }, 'under both names')
      }
    )

    withStore(
      'no name outlives the rows of its sessions',
      async (t, store) => {
        const proxy = await new Sender(store).start()
        await proxy.send(
          open('a', EPOCH, { principal: named('ann') }),
          open('b', EPOCH + 500, { principal: named('bob') })
        )
        await store.closeIdle(EPOCH + 100)
        t.match(await store.principals({ limit: 9 }), [
          { principal: 'bob', activeNum: 1 },
          { principal: 'ann', activeNum: 0, sessionNum: 1 }
        ])
        t.equal(await store.deleteEnded(EPOCH + 400), 1)
        t.same(
          (await store.principals({ limit: 9 })).map(({ principal }) => principal),
          ['bob']
        )
      },
      { idleTimeoutMs: 100 }
    )
  }
}

/** Something that happens to one of some sessions or visits, at about `at`. */
function randomEvent(random: Random, endpoints: readonly string[], at: number): LedgerEvent {
  const endpointId = random.pick(endpoints)
  const sessionId = `s${random.int(0, 14)}`
  // A session is mostly used on behalf of one principal; whose it is may be told late.
  const whose = {
    ...(random.chance(0.5) && { principal: named(random.pick(['ann', 'bob', 'carl'])) }),
    ...(random.chance(0.4) && { conversation: random.pick(['c1', 'c2', 'c3']) })
  }
  const when = at + random.int(-60, 60)
  const reason = random.pick(['delete', 'gone', 'killed'] as const)
  return random.weighted<LedgerEvent>([
    [4, open(sessionId, when, { ...whose, endpointId })],
    [4, use(sessionId, when, { ...whose, endpointId, requests: random.int(0, 3) })],
    [2, { type: 'close', endpointId, sessionId, at: when, reason }],
    [2, visit(`${endpointId} ${random.int(0, 4)}`, when, { ...whose, endpointId })]
  ])
}

async function equalsRows(t: Test, store: Store, endpoints: readonly string[]): Promise<void> {
  const rows = await store.connections(EVER)
  const narrowed: SessionsFilter[] = [
    {},
    { transport: 2 },
    { principal: 'ann' },
    { conversation: 'c1' },
    { principal: 'bob', conversation: 'c2', transport: 3 },
    { upstream: 'none' }
  ]
  const filters = [{}, ...endpoints.map(endpointId => ({ endpointId }))].flatMap(place =>
    narrowed.map(filter => ({ ...place, ...filter }))
  )
  for (const filter of filters) {
    const told = { open: await store.openCounts(filter), totals: await store.totals(filter) }
    const expected = { open: bruteOpenCounts(rows, filter), totals: bruteTotals(rows, filter) }
    const counted = Object.keys(filter).some(name => name !== 'endpointId')
    // Without more than an endpoint, totals count rows that were deleted too.
    if (!counted) expected.totals.openedNum = told.totals.openedNum
    if (!isDeepStrictEqual(told, expected)) t.same(told, expected, JSON.stringify(filter))
    const listed = await store.connections({ ...EVER, ...filter })
    const ids = (of: readonly SessionRow[]): number[] => of.map(({ id }) => id)
    t.same(ids(listed), ids(bruteConnections(rows, { ...EVER, ...filter })), JSON.stringify(filter))
  }
  for (const endpointId of [undefined, ...endpoints]) {
    const listed = await store.principals({ ...(endpointId !== undefined && { endpointId }), limit: 99 })
    const facts = (row: Partial<PrincipalRow>) => ({ ...row, id: undefined, lastSeenAt: undefined })
    const byName = (a: { principal: string }, b: { principal: string }): number =>
      byBytes(a.principal, b.principal)
    const expected = brutePrincipals(rows, endpointId).sort(byName)
    t.same(listed.toSorted(byName).map(facts), expected.map(facts), `principals of ${endpointId}`)
    for (const { principal, lastSeenAt } of expected)
      t.ok(listed.find(row => row.principal === principal)!.lastSeenAt >= lastSeenAt)
  }
}

const bruteTotals = (rows: readonly SessionRow[], filter: SessionsFilter) => ({
  openNum: bruteOpenCounts(rows, filter).openNum,
  openedNum: rows.filter(row => isAsked(row, filter)).length
})
