// Owns the tests of GET /api/mcp/tools/usage: which uses of tools, in what form, and what is refused.
import t from 'tap'
import type { ToolUsage, ToolUsageQuery } from '../../../src/ledger/store-port.js'
import { DAY, HOUR, NOW, startMonitoring, urlOf } from '../../support/admin-under-test.js'
import { MemoryStore } from '../../support/memory-store.js'

const USAGE = '/api/mcp/tools/usage'
const usage: ToolUsage = {
  ...{ startAt: NOW - HOUR, endpointId: 'files', tool: 'read', calls: 7, errors: 2 },
  ...{ durationSumMs: 90, durationMaxMs: 40 }
}

/** A store that answers with `answer`, and what it was asked. */
function storeWith(answer: ToolUsage[]): { store: MemoryStore; asked: ToolUsageQuery[] } {
  const store = new MemoryStore()
  const asked: ToolUsageQuery[] = []
  store.toolUsage = query => {
    asked.push(query)
    return Promise.resolve(answer)
  }
  return { store, asked }
}

void t.test('names and types of an answer, and what the store is asked', async t => {
  const { store, asked } = storeWith([usage, { ...usage, startAt: null }])
  const { ask } = startMonitoring(t, { store })
  t.strictSame(await ask(USAGE), [
    {
      ...{ time: new Date(NOW - HOUR).toISOString(), endpointId: 'files', tool: 'read', calls: 7, errors: 2 },
      ...{ durationSum: 90, durationMax: 40 }
    },
    {
      ...{ time: null, endpointId: 'files', tool: 'read', calls: 7, errors: 2 },
      ...{ durationSum: 90, durationMax: 40 }
    }
  ])
  const range = { start_time: String(NOW - 3 * HOUR), end_time: String(NOW) }
  await ask(USAGE, { ...range, by: 'total', endpointId: 'files' })
  t.match(asked, [
    { start: NOW - DAY, end: NOW, by: 'hour' },
    { start: NOW - 3 * HOUR, end: NOW, by: 'total', endpointId: 'files' }
  ])
})

void t.test('what cannot be asked', async t => {
  const { app } = startMonitoring(t, storeWith(Array<ToolUsage>(50_001).fill(usage)))
  for (const [query, says] of [
    [{ by: 'minute' }, /by/],
    [{ start_time: String(NOW), end_time: String(NOW - 1) }, /swap them/],
    [{ limit: '1' }, /limit/],
    [{}, /shorten the range/]
  ] as const) {
    const response = await app.inject(urlOf(USAGE, query))
    t.equal(response.statusCode, 400)
    t.match(response.json<{ message: string }>().message, says)
  }
  const unknown = await app.inject(urlOf(USAGE, { endpointId: 'not\nan id' }))
  t.same(unknown.json(), [])
})
