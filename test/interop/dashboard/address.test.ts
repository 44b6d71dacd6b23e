// Owns that the address of the page says what is looked at: reload, back and a link to a colleague show the same.
import type { Page } from 'playwright-core'
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, rowOf } from './page.js'

const clients = ['amber/1.0', 'birch/2.0', 'cedar/3.0', 'dune/4.0']
const idOf = (page: Page) => page.locator('#drawer-facts .copyable .value')

void t.test('the address says what is looked at', { timeout: 240_000 }, async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const ids = new Map<string, string>()
  for (const [i, client] of clients.entries()) {
    const url = `${turnstile.proxyUrl}/stream/${i < 2 ? 'files' : 'search'}`
    for (let use = 0; use <= i; use++) {
      const id = ids.get(client)
      const headers = { 'user-agent': client, ...(id !== undefined && { 'mcp-session-id': id }) }
      const response = await fetch(url, { method: 'POST', body: '{}', headers })
      await response.text()
      ids.set(client, id ?? response.headers.get('mcp-session-id')!)
    }
  }
  const gone = ids.get('dune/4.0')!
  await fetch(`${turnstile.proxyUrl}/stream/search`, {
    method: 'DELETE',
    headers: { 'mcp-session-id': gone }
  })
  await turnstile.shipped()
  const browser = await browserFor(t)
  const { page, problems } = await openDashboard(t, browser, turnstile.adminUrl)
  await reads(page.locator('#shown'), '3 open')
  /** The same for a colleague. */
  const link = async (): Promise<Page> =>
    (await openDashboard(t, browser, await compute<string>(page, 'location.href'))).page
  const order = async (of = page) =>
    (await of.locator('#grid-body .row .name').allTextContents()).map(name => name.split('/')[0])

  await t.test('endpoint, range, filters, sorting and tab', async t => {
    await page.getByRole('button', { name: /^search/ }).click()
    await page.getByRole('radio', { name: '15 min' }).check()
    await page.getByRole('radio', { name: 'All in range' }).check()
    await page.getByRole('columnheader', { name: 'Requests' }).getByRole('button').click()
    await reads(page.locator('#shown'), '2 sessions')
    for (const same of [page, await link()]) {
      if (same === page) await page.reload()
      await reads(same.locator('#scope'), /^search$/)
      await reads(same.locator('#shown'), '2 sessions')
      t.ok(await same.getByRole('radio', { name: '15 min' }).isChecked())
      t.ok(await same.getByRole('radio', { name: 'All in range' }).isChecked())
      t.equal(await same.getByLabel('Endpoint', { exact: true }).inputValue(), 'search')
      t.equal(
        await same.getByRole('columnheader', { name: 'Requests' }).getAttribute('aria-sort'),
        'descending'
      )
      t.same(await order(same), ['dune', 'cedar'])
    }
    for (let i = 0; i < 4; i++) await page.goBack()
    await reads(page.locator('#scope'), /^All endpoints$/)
    await reads(page.locator('#shown'), '3 open')
    t.ok(await page.getByRole('radio', { name: '1 h' }).isChecked())
    await page.goForward()
    await reads(page.locator('#scope'), /^search$/)
    await page.goBack()
    await reads(page.locator('#shown'), '3 open')
    await page.getByRole('tab', { name: 'Clients' }).click()
    await reads(page.locator('#clients-lists'), /cedar\/3\.0/)
    await reads((await link()).locator('#clients-lists'), /cedar\/3\.0/)
    await page.goBack()
  })

  await t.test('the details of a session, open or ended', async t => {
    await rowOf(page, 'birch').click()
    await reads(idOf(page), ids.get('birch/2.0')!)
    const other = await link()
    await reads(idOf(other), ids.get('birch/2.0')!)
    await reads(other.locator('#drawer-timeline'), 'Open for')
    await other.keyboard.press('Escape')
    t.notMatch(await compute(other, 'location.href'), 'session', 'the address is not behind what is shown')
    await other.locator('#drawer').waitFor({ state: 'hidden' })
    await page.goBack()
    await page.locator('#drawer').waitFor({ state: 'hidden' })
    await page.goForward()
    await reads(idOf(page), ids.get('birch/2.0')!)
    await page.keyboard.press('Escape')
    await page.locator('#drawer').waitFor({ state: 'hidden' })
    await page.goForward()
    await reads(idOf(page), ids.get('birch/2.0')!)
    await page.keyboard.press('Escape')
    await page.reload()
    await reads(page.locator('#shown'), '3 open')
    t.notOk(await page.locator('#drawer').isVisible(), 'it stays closed over a reload right after')

    await page.getByRole('radio', { name: 'Ended' }).check()
    await rowOf(page, 'dune').click()
    await reads(idOf(page), gone)
    const [fragment] = /session=[^&]*&of=.*/.exec(await compute(page, 'location.hash'))!
    const { page: bare } = await openDashboard(t, browser, `${turnstile.adminUrl}/#${fragment}`)
    await reads(idOf(bare), gone)
    await reads(bare.locator('#drawer-timeline'), 'Ended after')
    const unknown = fragment.replace(gone, 'somebody-else')
    const { page: lost } = await openDashboard(t, browser, `${turnstile.adminUrl}/#${unknown}`)
    await reads(lost.locator('#toast'), 'This session is not known any more.')
    await page.keyboard.press('Escape')
    await page.getByRole('radio', { name: 'Open now' }).check()
  })

  await t.test('each column sorts', async t => {
    const byColumn = {
      Client: ['amber', 'birch', 'cedar'],
      Endpoint: ['birch', 'amber', 'cedar'],
      Opened: ['cedar', 'birch', 'amber'],
      Duration: ['amber', 'birch', 'cedar'],
      Requests: ['cedar', 'birch', 'amber']
    }
    for (const [column, expected] of Object.entries(byColumn)) {
      const head = page.getByRole('columnheader', { name: column })
      if ((await head.getAttribute('aria-sort')) === null) await head.getByRole('button').click()
      await reads(rowOf(page, expected[0]!), /./)
      t.same(await order(), expected, column)
    }
    await page.getByRole('columnheader', { name: 'Requests' }).getByRole('button').focus()
    await page.keyboard.press('Enter')
    await page.locator('[aria-sort=ascending]').waitFor()
    t.same(await order(), ['amber', 'birch', 'cedar'], 'by keyboard, the other way')
  })

  await t.test('a text that is typed is in the address, and no step back for each letter', async t => {
    const steps = await compute<number>(page, 'history.length')
    await page.getByRole('searchbox').pressSequentially('birch', { delay: 200 })
    await reads(page.locator('#shown'), '1 of 3 open')
    t.equal(await compute(page, 'history.length'), steps)
    await reads((await link()).locator('#shown'), '1 of 3 open')
    await page.getByRole('searchbox').fill('')
    await reads(page.locator('#shown'), '3 open')
  })
  t.strictSame(problems, [])
})
