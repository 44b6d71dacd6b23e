// Owns the contract of the store port for principals and conversations: whose sessions are, on every adapter.
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { InstanceIdentity, LedgerRules, SharedSession, Store } from '../../../src/ledger/store-port.js'
import { unknownClient } from '../../../src/mcp/client-info.js'
import type { Principal } from '../../../src/mcp/principal.js'
import type { LedgerEvent, OpenEvent, UseEvent, VisitEvent } from '../../../src/sessions/events.js'
import { Random } from '../random.js'

const EPOCH = Date.UTC(2026, 9, 1)
const EVER = { start: 0, end: EPOCH + 1_000_000_000, limit: 10_000 }

/** A proxy that ships events. */
class Proxy {
  readonly instance: InstanceIdentity = { id: randomUUID(), boot: 1 }
  readonly #store: Store
  #offset = 0

  constructor(store: Store) {
    this.#store = store
  }

  async start(): Promise<this> {
    await this.#store.register(this.instance, EPOCH)
    return this
  }

  async tell(...events: LedgerEvent[]): Promise<readonly SharedSession[]> {
    const entries = events.map(event => ({ offset: ++this.#offset, boot: 1, event }))
    return (await this.#store.apply(this.instance, entries, EPOCH)).shared
  }
}

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
    const withStore = (title: string, body: (t: Test, store: Store) => Promise<void>): void => {
      void t.test(`${name}: ${title}`, async t => {
        const store = await openStore({ idleTimeoutMs: 0 })
        t.teardown(() => store.close())
        await body(t, store)
      })
    }

    withStore(
      'of several principals and conversations the first counts, told in any order',
      async (t, store) => {
        const random = new Random()
        const [one, two] = [await new Proxy(store).start(), await new Proxy(store).start()]
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
          shared.push(...(await random.pick([one, two]).tell(...left.splice(0, random.int(1, 9)))))
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
      const [one, two] = [await new Proxy(store).start(), await new Proxy(store).start()]
      const key: Principal = { kind: 'key', name: 'digest of a key', isDigest: true }
      const principal: Principal = { kind: 'oauth', name: 'digest of a key', isDigest: true }
      await one.tell(open('a', EPOCH, { principal: key }), open('b', EPOCH, { principal }))
      t.same(await two.tell(use('a', EPOCH + 1, { principal: key })), [], 'the same one')
      await two.tell(visit('v', EPOCH, { principal: key, conversation: 'c' }))
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
      await (await new Proxy(other).start()).tell(open('a', EPOCH, { principal: key }))
      t.not((await other.session('a'))[0]?.principal, of('a'), 'another store has another key')
    })
  }
}
