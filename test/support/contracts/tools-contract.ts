// Owns the contract of the store port for uses of tools: sums by hour, endpoint and tool, each told once, of a bounded number.
import type { Test } from 'tap'
import type { LedgerRules, Store, ToolUsageQuery } from '../../../src/ledger/store-port.js'
import type { LedgerEvent, ToolEvent } from '../../../src/sessions/events.js'
import { Random } from '../random.js'
import { EPOCH, Sender, storeTests } from './store-tests.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const used = (tool: string, at: number, rest: Partial<ToolEvent> = {}): ToolEvent => ({
  ...{ type: 'tool', endpointId: 'e', tool, at, calls: 1, errors: 0 },
  ...{ durationSumMs: 10, durationMaxMs: 10 },
  ...rest
})
const ALL: ToolUsageQuery = { start: EPOCH, end: EPOCH + 10 * DAY, by: 'hour', limit: 100_000 }

/** Adds up events by brute force. */
function bruteUsage(events: readonly ToolEvent[], { start, end, by, endpointId }: ToolUsageQuery) {
  const lengthMs = by === 'day' ? DAY : HOUR
  const sums = new Map<string, Omit<ToolEvent, 'type' | 'at'> & { startAt: number | null }>()
  for (const { type: _, at, ...event } of events) {
    const hour = Math.floor(at / HOUR) * HOUR
    if (hour < Math.floor(start / HOUR) * HOUR || hour > end) continue
    if (endpointId !== undefined && event.endpointId !== endpointId) continue
    const startAt = by === 'total' ? null : Math.floor(at / lengthMs) * lengthMs
    const key = JSON.stringify([startAt, event.endpointId, event.tool])
    const sum = sums.get(key)
    if (sum === undefined) {
      sums.set(key, { startAt, ...event })
      continue
    }
    sum.calls += event.calls
    sum.errors += event.errors
    sum.durationSumMs += event.durationSumMs
    sum.durationMaxMs = Math.max(sum.durationMaxMs, event.durationMaxMs)
  }
  return [...sums.values()]
}

const byKey = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
const inOrder = (usage: readonly object[]): object[] =>
  usage.map(item => Object.fromEntries(Object.entries(item).sort())).sort(byKey)

/** Runs on every adapter. */
export function toolsContract(
  name: string,
  openStore: (rules: LedgerRules) => Promise<Store>
): (t: Test) => void {
  return t => {
    const withStore = storeTests(t, name, openStore)

    withStore('uses of tools add up as brute force says, by hour, day and in total', async (t, store) => {
      const random = new Random()
      t.comment(`seed ${random.seed}`)
      const senders = [await new Sender(store).start(), await new Sender(store).start()]
      const all: ToolEvent[] = []
      for (let i = 0; i < 60; i++) {
        const sender = random.pick(senders)
        const events = Array.from({ length: random.int(1, 20) }, () =>
          used(random.pick(['a', 'b', 'ü 1', '\u{1f600}']), EPOCH + random.int(0, 3 * DAY), {
            endpointId: random.pick(['e', 'f', '知']),
            ...{ calls: random.int(0, 5), errors: random.int(0, 3) },
            ...{ durationSumMs: random.int(0, 9_000), durationMaxMs: random.int(0, 3_000) }
          })
        )
        const batch = sender.entries(events)
        await store.apply(sender.instance, batch, EPOCH)
        // Its outcome was not known, so it is sent once more.
        if (random.chance(0.3)) await store.apply(sender.instance, batch, EPOCH)
        all.push(...events)
      }
      for (const by of ['hour', 'day', 'total'] as const)
        for (const range of [
          {},
          { endpointId: '知' },
          { start: EPOCH + 5 * HOUR + 1, end: EPOCH + DAY },
          { start: EPOCH + 5 * HOUR, end: EPOCH + 5 * HOUR, endpointId: 'e' }
        ]) {
          const query = { ...ALL, ...range, by }
          t.same(inOrder(await store.toolUsage(query)), inOrder(bruteUsage(all, query)))
        }
      const [first] = await store.toolUsage({ ...ALL, by: 'total', limit: 1 })
      const most = Math.max(...bruteUsage(all, { ...ALL, by: 'total' }).map(({ calls }) => calls))
      t.equal(first?.calls, most, 'the tool with the most calls first')
    })

    withStore('of an endpoint and hour 200 tools have rows, the rest is other', async (t, store) => {
      const [one, two] = [await new Sender(store).start(), await new Sender(store).start()]
      const many = (from: number, count: number, at = EPOCH): ToolEvent[] =>
        Array.from({ length: count }, (_, i) => used(`tool-${from + i}`, at))
      await one.send(...many(0, 150))
      await two.send(used('other', EPOCH), ...many(100, 150))
      await one.send(...many(0, 10), ...many(240, 20), used('elsewhere', EPOCH, { endpointId: 'f' }))
      const usage = await store.toolUsage({ ...ALL, endpointId: 'e' })
      t.equal(usage.length, 201)
      const callsOf = (tool: string): number | undefined => usage.find(item => item.tool === tool)?.calls
      t.same([callsOf('tool-0'), callsOf('tool-120'), callsOf('tool-199')], [2, 2, 1])
      t.equal(callsOf('other'), 1 + 50 + 20)
      t.equal(
        usage.reduce((sum, { calls }) => sum + calls, 0),
        150 + 151 + 30
      )
      await one.send(...many(300, 5, EPOCH + HOUR))
      t.equal((await store.toolUsage({ ...ALL, start: EPOCH + HOUR })).length, 5, 'the next hour has room')
      t.match(await store.toolUsage({ ...ALL, endpointId: 'f' }), [{ tool: 'elsewhere', calls: 1 }])
    })

    withStore(
      'retention deletes them with the roll-ups, and an endpoint takes them along',
      async (t, store) => {
        const sender = await new Sender(store).start()
        await sender.send(
          used('a', EPOCH + DAY - 1),
          used('a', EPOCH + DAY),
          used('b', EPOCH, { endpointId: 'f' })
        )
        while ((await store.deleteRollups(EPOCH + DAY)) > 0);
        t.match(await store.toolUsage(ALL), [{ startAt: EPOCH + DAY, endpointId: 'e', calls: 1 }])
        while ((await store.deleteEndpoint('e', EPOCH)) === 'more');
        t.same(await store.toolUsage(ALL), [])
      }
    )

    withStore(
      'of an endpoint that finds no room they are counted at other, and no figure of sessions changes',
      async (t, store) => {
        const sender = await new Sender(store).start()
        const events: LedgerEvent[] = ['e', 'f', 'g'].map(endpointId => used('a', EPOCH, { endpointId }))
        for (const event of events) await sender.send(event)
        const usage = await store.toolUsage({ ...ALL, by: 'total' })
        t.equal(usage.length, 3)
        t.same(new Set(usage.map(({ endpointId }) => endpointId)), new Set(['e', 'f', 'other']))
        t.ok((await store.counts({})).every(({ connectNum }) => connectNum === 0))
      },
      { idleTimeoutMs: 0, maxEndpoints: 2 }
    )
  }
}
