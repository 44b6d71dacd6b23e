// Owns that the dashboard tells the truth while the store is away: since when, in each of its parts, and that it is back.
import { setTimeout as sleep } from 'node:timers/promises'
import axe, { type AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { freshDatabase, startDatabase } from '../../support/mariadb.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, rowOf } from './page.js'

/** In so much time the page shows that the store is away. */
const WITHIN_MS = 5_000
const PARTS = ['overview', 'endpoints-panel', 'activity-panel', 'sessions'] as const

const gateway = await startFakeGateway()
const server = await startDatabase({ own: true })
t.teardown(async () => {
  await server.stop()
  await gateway.stop()
})

const failureOf = (page: Page, part: string) => page.locator(`#${part} > .failure`)

async function visit(turnstile: Turnstile, client: string): Promise<void> {
  const url = `${turnstile.proxyUrl}/stream/files`
  await (await fetch(url, { method: 'POST', body: '{}', headers: { 'user-agent': client } })).text()
}

/** All that a page must say of an outage. */
async function tellsOutage(page: Page): Promise<void> {
  await reads(page.locator('#banner'), /^The store has been away since \d\d:\d\d:\d\d\. /)
  await reads(page.locator('#health li'), 'Storeunreachable')
  for (const part of PARTS) await reads(failureOf(page, part), /^Not updated since \d\d:\d\d:\d\d: .+\.$/)
}

const outages: Record<
  string,
  {
    begin: () => void
    end: () => Promise<void> | void
    withinMs: number
    /** The page that is loaded meanwhile is the only one: the proxy follows the feed for nobody. */
    isAlone: boolean
  }
> = {
  killed: { begin: () => server.kill(), end: () => server.restart(), withinMs: WITHIN_MS, isAlone: false },
  // The proxy takes 4 s to find out, and so does the page.
  silent: {
    begin: () => server.signal('SIGSTOP'),
    end: () => server.signal('SIGCONT'),
    withinMs: 2 * WITHIN_MS,
    isAlone: true
  }
}

for (const [kind, { begin, end, withinMs, isAlone }] of Object.entries(outages))
  void t.test(`a store that is ${kind}, and back`, { timeout: 180_000 }, async t => {
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), [
      '--store',
      await freshDatabase(server.url)
    ])
    t.teardown(() => turnstile.stop())
    await visit(turnstile, 'before/1.0')
    await turnstile.shipped()
    const browser = await browserFor(t)
    const { page } = await openDashboard(t, browser, turnstile.adminUrl)
    await reads(page.locator('#open-now'), /^1$/)
    await reads(page.locator('#shown'), '1 open')
    await page.locator('#banner').waitFor({ state: 'hidden' })
    for (const part of PARTS) await failureOf(page, part).waitFor({ state: 'hidden' })

    begin()
    const begunAt = performance.now()
    await tellsOutage(page)
    const tookMs = Math.round(performance.now() - begunAt)
    t.ok(tookMs < withinMs, `shown after ${tookMs} ms`)
    await reads(page.locator('#age'), /^as of \d\d:\d\d:\d\d$/)
    await reads(page.locator('#open-now'), /^1$/)
    t.ok(await rowOf(page, 'before').isVisible(), 'what was known stays')
    await page.getByRole('radio', { name: 'Ended' }).check()
    await reads(page.locator('#empty'), 'These sessions cannot be read now.')
    await page.getByRole('radio', { name: 'Open now' }).check()

    t.comment('a page that is loaded meanwhile')
    if (process.env['SCREENSHOT'] !== undefined)
      await page.screenshot({ path: `${process.env['SCREENSHOT']}-${kind}.png` })
    if (isAlone) await page.close()
    const { page: late } = await openDashboard(t, browser, turnstile.adminUrl)
    await tellsOutage(late)
    await reads(late.locator('#open-now'), '–')
    await reads(late.locator('#empty'), 'These sessions cannot be read now.')
    await reads(late.locator('#health li'), isAlone ? 'Livewaits for the store' : 'Liveconnected')
    await late.evaluate(axe.source)
    const { violations } = await compute<AxeResults>(late, 'axe.run()')
    t.strictSame(
      violations.filter(({ impact }) => impact === 'serious' || impact === 'critical'),
      []
    )
    if (process.env['SCREENSHOT'] !== undefined)
      await late.screenshot({ path: `${process.env['SCREENSHOT']}-${kind}-late.png` })

    await visit(turnstile, 'meanwhile/1.0')
    await reads(late.locator('#health li'), /^Outbox\d+ waiting/)
    await end()
    for (const each of isAlone ? [late] : [page, late]) {
      await each.locator('#banner').waitFor({ state: 'hidden', timeout: 60_000 })
      await reads(each.locator('#open-now'), /^2$/)
      await reads(rowOf(each, 'meanwhile'), 'files')
      await reads(each.locator('#health li'), 'Storeok')
      await reads(each.locator('#health li'), 'Liveconnected')
      for (const part of PARTS) await failureOf(each, part).waitFor({ state: 'hidden' })
    }
    await late.getByRole('radio', { name: 'Ended' }).check()
    await reads(late.locator('#empty'), 'No session in this time range.')
  })

void t.test('the peak does not shrink, nor lie below what is open', { timeout: 120_000 }, async t => {
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(() => turnstile.stop())
  const { page } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  const ids: { url: string; id: string }[] = []
  for (let i = 0; i < 6; i++) {
    const url = `${turnstile.proxyUrl}/stream/e${i % 2}`
    const response = await fetch(url, { method: 'POST', body: '{}' })
    await response.text()
    ids.push({ url, id: response.headers.get('mcp-session-id')! })
  }
  await reads(page.locator('#open-now'), /^6$/)
  await reads(page.locator('#peak'), /^6$/)
  for (const { url, id } of ids) await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': id } })
  await reads(page.locator('#open-now'), /^0$/)
  // The series of several endpoints has whole minutes only, and is read again within this time.
  await sleep(7_000)
  await reads(page.locator('#peak'), /^6$/)
})
