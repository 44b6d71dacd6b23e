// Owns that the chart says what the minute series says, point by point, and lets its range be chosen.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { embeddedStore } from '../../../src/ledger/sqlite/sqlite-store.js'
import type { LedgerEvent } from '../../../src/sessions/events.js'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Random } from '../../support/random.js'
import { type SeriesPointJson, Turnstile } from '../../support/turnstile.js'
import { browserFor, openDashboard, reads, until } from './page.js'

const MINUTE = 60_000
const endpoints = ['files', 'search']

/** Sessions of the last two hours, in an embedded store. */
async function fill(path: string, random: Random): Promise<void> {
  const store = embeddedStore(path, { idleTimeoutMs: 0 })
  await store.migrate()
  const instance = { id: randomUUID(), boot: 1 }
  const now = Date.now()
  await store.register(instance, now)
  const events = Array.from({ length: 300 }, (): LedgerEvent[] => {
    const at = now - random.int(2, 120) * MINUTE - random.int(0, MINUTE)
    const id = { endpointId: random.pick(endpoints), sessionId: randomUUID() }
    const who = { clientAddress: '192.0.2.7', userAgent: 'test' }
    return [
      { type: 'open', ...id, transport: 2, at, ...who, requests: 1, held: false },
      { type: 'close', ...id, at: at + random.int(1, now - at), reason: 'delete' }
    ]
  })
  const entries = events.flat().map((event, i) => ({ offset: i + 1, boot: 1, event }))
  await store.apply(instance, entries, now)
  await store.close()
}

void t.test('the chart shows the numbers of the time series', { timeout: 120_000 }, async t => {
  const random = new Random()
  t.comment(`TEST_SEED=${random.seed}`)
  const directory = t.testdir()
  await fill(`${directory}/turnstile.db`, random)
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, directory)
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const { page, problems } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  const chart = page.getByRole('slider')

  /** What the chart says of each of its points, from the first to the last. */
  const pointsOfChart = async (): Promise<string[]> => {
    await chart.focus()
    await page.keyboard.press('Home')
    const points = [await chart.getAttribute('aria-valuetext')]
    const last = Number(await chart.getAttribute('aria-valuemax'))
    for (let i = 0; i < last; i++) {
      await page.keyboard.press('ArrowRight')
      points.push(await chart.getAttribute('aria-valuetext'))
    }
    return points.map(String)
  }

  const start = Math.floor(Date.now() / MINUTE) * MINUTE - 45 * MINUTE
  const end = start + 40 * MINUTE
  const seriesOf = (endpointId?: string) =>
    turnstile.query<SeriesPointJson[]>(
      `/api/connections/time-series?start_time=${start}&end_time=${end}${endpointId === undefined ? '' : `&endpoint_id=${endpointId}`}`
    )
  const sum = (points: SeriesPointJson[], name: 'opened' | 'closed' | 'connect_num') =>
    points.reduce((total, point) => total + point[name], 0)

  await reads(page.locator('#endpoints li'), 'files')
  await page.getByRole('button', { name: 'Custom…' }).click()
  await page.getByLabel('From', { exact: true }).fill(new Date(start).toISOString().slice(0, 16))
  await page.getByLabel('To', { exact: true }).fill(new Date(end).toISOString().slice(0, 16))
  await page.getByRole('button', { name: 'Show', exact: true }).click()

  const all = await seriesOf()
  await reads(page.locator('#opened'), new RegExp(`^${sum(all, 'opened')}$`))
  await reads(page.locator('#closed'), new RegExp(`^${sum(all, 'closed')}$`))
  const times = [...new Set(all.map(({ time }) => time))]
  t.equal(times.length, 41)
  t.strictSame(
    await pointsOfChart(),
    times.map(time => {
      const points = all.filter(point => point.time === time)
      return `${time.slice(11, 16)}: open ${sum(points, 'connect_num')}, opened ${sum(points, 'opened')}, closed ${sum(points, 'closed')}`
    })
  )

  await page.getByRole('button', { name: /^files/ }).click()
  const ofFiles = await seriesOf('files')
  await reads(page.locator('#opened'), new RegExp(`^${sum(ofFiles, 'opened')}$`))
  t.strictSame(
    await pointsOfChart(),
    ofFiles.map(
      ({ time, connect_num, opened, closed, peak }) =>
        `${time.slice(11, 16)}: open ${connect_num}, opened ${opened}, closed ${closed}, peak ${peak ?? '?'}`
    )
  )
  await reads(page.locator('#peak'), new RegExp(`^${Math.max(...ofFiles.map(({ peak }) => peak!))}$`))

  t.comment('who was there then')
  await page.getByRole('radio', { name: 'All in range' }).check()
  const rows = await turnstile.connections(`&endpoint_id=files`)
  const then = rows.filter(
    row => Date.parse(row.connect_at) <= end && (row.reason === null || Date.parse(row.disconnect_at) > start)
  )
  await reads(page.locator('#shown'), `${then.length} sessions`)

  t.comment('a part of it')
  const box = (await chart.boundingBox())!
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.7, box.y + 60, { steps: 5 })
  await page.mouse.up()
  await until(page, `document.getElementById('chart').ariaValueMax < 20`)
  const part = await pointsOfChart()
  t.ok(part.length > 5 && part.length < 20, `${part.length} points`)
  await page.locator('#zoom').click()
  await until(page, `document.getElementById('chart').ariaValueMax > 50`)
  await page.getByRole('radio', { name: '30 d' }).check()
  await until(page, `document.getElementById('peak-label').textContent === 'Peak by minute'`)
  t.strictSame(problems, [])
})
