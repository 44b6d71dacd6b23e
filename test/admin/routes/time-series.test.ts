// Owns the tests of GET /api/connections/time-series: which points, their limits, and how they are streamed.
import { once } from 'node:events'
import { get as httpGet } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Check } from 'typebox/value'
import { MinutePoint } from '../../../src/admin/schemas/query-responses.js'
import type { SeriesPoint, SeriesQuery } from '../../../src/ledger/store-port.js'
import {
  DAY,
  HOUR,
  MINUTE,
  NOW,
  randomSessions,
  SERIES,
  session,
  startAdmin
} from '../../support/admin-under-test.js'
import { bruteSeries } from '../../support/brute-force.js'
import { MemoryStore } from '../../support/memory-store.js'
import { Random } from '../../support/random.js'

/** The last minute boundary. */
const LAST = NOW - 30_000

void t.test('a point has these names and types', async t => {
  const rows = [
    session({ connectAt: LAST - MINUTE }),
    session({ connectAt: LAST - 30_000, disconnectAt: LAST - 1 })
  ]
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  const points = await ask<MinutePoint[]>(SERIES, { start_time: LAST - MINUTE, end_time: LAST })
  t.strictSame(points, [
    { time: '2026-11-21T11:59:00.000Z', endpoint_id: 'files', connect_num: 1, opened: 2, closed: 1, peak: 2 },
    { time: '2026-11-21T12:00:00.000Z', endpoint_id: 'files', connect_num: 1, opened: 0, closed: 0, peak: 1 }
  ])
  t.ok(
    points.every(point => Check(MinutePoint, point)),
    'as the schema says'
  )
})

void t.test('random ranges equal brute force over the rows', async t => {
  const random = new Random()
  t.comment(`TEST_SEED=${random.seed}`)
  const endpoints = ['files', 'mail', 'maps']
  const rows = randomSessions(random, 500, endpoints)
  const { ask } = startAdmin(t, { store: new MemoryStore(rows) })
  for (let round = 0; round < 20; round++) {
    const start = NOW - random.int(0, 2 * DAY)
    const end = start + random.int(0, random.pick([2 * MINUTE, HOUR, 26 * HOUR]))
    const endpoint = random.pick([undefined, ...endpoints])
    const boundaries = bruteSeries(rows, endpoint === undefined ? endpoints : [endpoint], {
      start: Math.ceil(start / MINUTE) * MINUTE,
      end: Math.min(end, NOW),
      peak: end - start <= DAY
    })
    const answer = await ask<MinutePoint[]>(SERIES, {
      start_time: start,
      end_time: end,
      ...(endpoint && { endpoint_id: endpoint })
    })
    t.strictSame(
      answer.map(p => [Date.parse(p.time), p.endpoint_id, p.connect_num, p.opened, p.closed, p.peak]),
      boundaries.map(p => [p.time, p.endpointId, p.connectNum, p.opened, p.closed, p.peak]),
      `${answer.length} points`
    )
  }
})

void t.test('without a range: the hour before now; nothing after now', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore([session()]) })
  const times = async (query: Record<string, number>) =>
    (await ask<MinutePoint[]>(SERIES, query)).map(point => Date.parse(point.time))
  const hour = await times({})
  t.equal(hour.length, 60)
  t.strictSame([hour[0], hour.at(-1)], [LAST - 59 * MINUTE, LAST])
  t.strictSame(await times({ end_time: LAST - HOUR, start_time: LAST - HOUR }), [LAST - HOUR])
  t.equal((await times({ end_time: LAST - HOUR })).length, 61)
  t.strictSame(await times({ start_time: LAST - MINUTE, end_time: NOW + DAY }), [LAST - MINUTE, LAST])
})

void t.test('no minute boundary, no endpoint, no storable id, only the future: an empty array', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore([session()]) })
  t.strictSame(await ask(SERIES, { start_time: LAST + 1, end_time: NOW }), [])
  t.strictSame(await ask(SERIES, { start_time: NOW + HOUR, end_time: NOW + DAY }), [])
  t.strictSame(await ask(SERIES, { endpoint_id: '\n' }), [])
  t.strictSame(await startAdmin(t).ask(SERIES), [])
})

void t.test('an endpoint that never had a session has its zeros', async t => {
  const points = await startAdmin(t).ask<MinutePoint[]>(SERIES, { endpoint_id: 'nobody' })
  t.equal(points.length, 60)
  t.ok(points.every(point => point.connect_num === 0 && point.peak === 0))
})

void t.test('peaks for 24 hours, not for more', async t => {
  const { ask } = startAdmin(t, { store: new MemoryStore([session()]) })
  const day = await ask<MinutePoint[]>(SERIES, { start_time: LAST - DAY, end_time: LAST })
  t.equal(day.at(-1)?.peak, 1)
  const more = await ask<MinutePoint[]>(SERIES, { start_time: LAST - DAY - 1, end_time: LAST })
  t.ok(more.length > 1_000 && more.every(point => point.peak === null))
})

void t.test('500,000 points are answered, more are refused before anything is read', async t => {
  const store = new MemoryStore([session(), session({ endpointId: 'mail' })])
  store.series = async function* (query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
    const count = ((query.end - query.start) / MINUTE + 1) * (query.endpointId === undefined ? 2 : 1)
    const point = { endpointId: 'files', connectNum: 1, opened: 0, closed: 0, peak: null }
    for (let i = 0; i < count; i += 1_000) {
      await delay(0)
      yield Array.from({ length: Math.min(1_000, count - i) }, (_, j) => ({
        ...point,
        time: query.start + j
      }))
    }
  }
  const { ask, get } = startAdmin(t, { store })
  const minutes = (n: number) => ({ start_time: LAST - (n - 1) * MINUTE, end_time: LAST })
  t.equal((await ask<MinutePoint[]>(SERIES, { ...minutes(500_000), endpoint_id: 'files' })).length, 500_000)
  t.equal((await ask<MinutePoint[]>(SERIES, minutes(250_000))).length, 500_000)
  const refused = await get(SERIES, minutes(250_001))
  t.equal(refused.statusCode, 400)
  t.match(refused.json(), {
    message:
      /would yield 500002 points.*at most 250000 minutes, or name one endpoint_id \(the busiest: "files", "mail"\), or ask for text\/csv/
  })
  const alone = await get(SERIES, { ...minutes(500_001), endpoint_id: 'files' })
  t.match(alone.json(), { statusCode: 400, message: /at most 500000 minutes, or ask for text\/csv/ })
})

/** A store whose series never ends by itself. */
function endless(onChunk: (n: number) => void) {
  const store = new MemoryStore([session()])
  store.series = async function* (): AsyncGenerator<SeriesPoint[]> {
    store.seriesRunning++
    try {
      for (let n = 1; ; n++) {
        await delay(0)
        onChunk(n)
        yield bruteSeries(store.rows, ['files'], { start: LAST - HOUR, end: LAST, peak: false })
      }
    } finally {
      store.seriesRunning--
    }
  }
  return store
}

void t.test('a slow reader stops the reading of the store; one that leaves ends it', async t => {
  let chunks = 0
  const store = endless(n => (chunks = n))
  const { app } = startAdmin(t, { store })
  const [response] = await request(await app.listen({ port: 0 }))
  let before = -1
  while (chunks !== before) {
    before = chunks
    await delay(100)
  }
  t.ok(chunks > 1, `stopped after ${chunks} chunks`)
  response.destroy()
  while (store.seriesRunning > 0) await delay(1)
  t.pass('and ended')
})

void t.test('a store that fails in the middle breaks the answer off', async t => {
  const { app } = startAdmin(t, {
    store: endless(n => {
      if (n === 5) throw new Error('the database went away')
    })
  })
  const [response] = await request(await app.listen({ port: 0 }))
  response.resume()
  await t.rejects(once(response, 'end'), { code: 'ECONNRESET' })
  t.notOk(response.complete)
})

void t.test('a store that fails at once is a 500', async t => {
  const { get } = startAdmin(t, {
    store: endless(() => {
      throw new Error('secret cause')
    })
  })
  const response = await get(SERIES)
  t.equal(response.statusCode, 500)
  t.match(response.json(), { statusCode: 500, error: 'Internal Server Error', message: /in the log/ })
  t.notMatch(response.body, 'secret')
})

void t.test('HEAD answers without a body', async t => {
  const store = new MemoryStore([session()])
  const { app } = startAdmin(t, { store })
  const response = await app.inject({ method: 'HEAD', url: SERIES })
  t.equal(response.statusCode, 200)
  t.equal(response.body, '')
  while (store.seriesRunning > 0) await delay(1)
})

async function request(origin: string) {
  return (await once(httpGet(`${origin}${SERIES}`), 'response')) as [import('node:http').IncomingMessage]
}
