// Owns the contract of the store port for metrics: every open and close that is committed is counted once, and the census.
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { InstanceIdentity, LedgerRules, Store } from '../../../src/ledger/store-port.js'
import { expanded } from '../../../src/metrics/metric.js'
import type { FinalReason, SessionEvent } from '../../../src/sessions/events.js'

const EPOCH = Date.UTC(2026, 9, 1)
const TIMEOUT = 60_000

const open = (sessionId: string, endpointId = 'e', transport: 1 | 2 = 2): SessionEvent => ({
  ...{
    type: 'open',
    endpointId,
    sessionId,
    transport,
    at: EPOCH,
    clientAddress: '192.0.2.1',
    userAgent: null
  },
  ...{ requests: 1, held: transport === 1 }
})
const close = (sessionId: string, reason: FinalReason, at: number, endpointId = 'e'): SessionEvent => ({
  ...{ type: 'close', endpointId, sessionId, at, reason }
})

async function counted(store: Store, name: string): Promise<Record<string, number>> {
  const metric = (await store.metrics()).map(expanded).find(metric => metric.name === name)!
  return Object.fromEntries(
    metric.values
      .filter(({ metricName = '' }) => !metricName.endsWith('_bucket'))
      .map(({ labels, value, metricName }) => [
        [metricName?.slice(-3), ...Object.values(labels)].filter(Boolean).join(' '),
        value
      ])
  )
}

export function metricsContract(name: string, openStore: (rules: LedgerRules) => Promise<Store>) {
  return (t: Test): void => {
    void t.test(`${name}: what is committed is counted once`, async t => {
      const store = await openStore({ idleTimeoutMs: TIMEOUT })
      t.teardown(() => store.close())
      const instance: InstanceIdentity = { id: randomUUID(), boot: 1 }
      await store.register(instance, EPOCH)
      const opened = () => counted(store, 'turnstile_sessions_opened_total')
      const closed = () => counted(store, 'turnstile_sessions_closed_total')
      t.same([await opened(), await closed()], [{}, {}])

      const events = [open('a'), open('b'), open('c', 'f', 1), open('d'), close('b', 'delete', EPOCH + 2_500)]
      const entries = events.map((event, i) => ({ offset: i + 1, boot: 1, event }))
      await store.apply(instance, entries, EPOCH)
      await store.apply(instance, entries, EPOCH)
      t.same(await opened(), { 'e streamable': 3, 'f sse': 1 }, 'a batch sent again changes nothing')
      t.same(await closed(), { 'e streamable delete': 1 })
      t.same(await counted(store, 'mcp_server_session_duration_seconds'), {
        'sum streamable tcp': 2.5,
        'unt streamable tcp': 1
      })

      t.equal((await store.closeIdle(EPOCH + TIMEOUT)).length, 2)
      await store.loseStreams(instance.id, EPOCH, EPOCH + TIMEOUT)
      t.same(await closed(), { 'e streamable delete': 1, 'e streamable idle': 2, 'f sse lost': 1 })
      const use = { ...open('a'), at: EPOCH + 2 * TIMEOUT }
      await store.apply(instance, [{ offset: 6, boot: 1, event: use }], EPOCH)
      await store.apply(
        instance,
        [{ offset: 7, boot: 1, event: close('d', 'gone', EPOCH + 3 * TIMEOUT) }],
        EPOCH
      )
      t.same(await opened(), { 'e streamable': 4, 'f sse': 1 }, 'one came back')
      t.same(
        await closed(),
        { 'e streamable delete': 1, 'e streamable idle': 2, 'f sse lost': 1 },
        'one had ended'
      )
    })

    void t.test(`${name}: the census counts open sessions by name, and tells a drift`, async t => {
      const store = await openStore({ idleTimeoutMs: 0 })
      t.teardown(() => store.close())
      t.same(await store.census({ named: [] }), { open: [], endpointNum: 0, drift: 0 })
      t.same(await store.busiest({ limit: 5 }), [])
      const instance: InstanceIdentity = { id: randomUUID(), boot: 1 }
      await store.register(instance, EPOCH)
      const ids = Array.from({ length: 12 }, (_, i) => open(`s${i}`, `e${i % 5}`, i % 5 === 0 ? 1 : 2))
      const events = [...ids, open('x', 'gone'), close('x', 'delete', EPOCH + 1, 'gone')]
      await store.apply(
        instance,
        events.map((event, i) => ({ offset: i + 1, boot: 1, event })),
        EPOCH
      )
      t.same(await store.busiest({ limit: 2 }), ['e0', 'e1'])
      const { open: rows, drift } = await store.census({ named: ['e0', 'gone', "'; --"] })
      t.same(
        rows.sort((a, b) => a.openNum - b.openNum),
        [
          { endpointId: 'e0', transport: 1, upstream: null, openNum: 3 },
          { endpointId: null, transport: 2, upstream: null, openNum: 9 }
        ]
      )
      t.equal(drift, 0)
    })
  }
}
