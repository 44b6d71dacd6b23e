// Owns that operators see how tools are used: how often each is called, fails and how long it takes, at one endpoint and at all.
import axe, { type AxeResults } from 'axe-core'
import t from 'tap'
import type { ToolUsageInfo } from '../../../src/admin/schemas/monitoring-responses.js'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Scrape } from '../../support/scrape.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, rowOf } from './page.js'

void t.test('the use of tools', { timeout: 240_000 }, async t => {
  const gateway = await startFakeGateway((request, response) => {
    const outcome = request.headers['x-outcome']
    if (outcome === undefined) return false
    response.writeHead(200, {
      'content-type': 'application/json',
      ...(outcome === 'unread' && { 'content-encoding': 'br' })
    })
    response.end(`{"jsonrpc":"2.0","id":2,"result":{"isError":${outcome === 'fail'}}}`)
    return true
  })
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const post = async (endpointId: string, body: object, headers: Record<string, string>) => {
    const response = await fetch(`${turnstile.proxyUrl}/stream/${endpointId}`, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 2, ...body }),
      headers: { 'content-type': 'application/json', ...headers }
    })
    // What says that it is compressed is not.
    await response.text().catch(() => '')
    return response.headers.get('mcp-session-id')!
  }
  const call = (endpointId: string, id: string, name: string, outcome: string) =>
    post(
      endpointId,
      { method: 'tools/call', params: { name } },
      { 'mcp-session-id': id, 'x-outcome': outcome }
    )
  const files = await post('files', { method: 'initialize' }, { 'user-agent': 'reader/1.0' })
  const mail = await post('mail', { method: 'initialize' }, { 'user-agent': 'sender/1.0' })
  for (const outcome of ['done', 'done', 'fail', 'fail', 'unread'])
    await call('files', files, 'read', outcome)
  await call('files', files, 'write', 'done')
  await call('mail', mail, 'send', 'fail')
  for (let used = 0; used < 7;) {
    const usage = await turnstile.query<ToolUsageInfo[]>('/api/mcp/tools/usage?by=total')
    used = usage.reduce((sum, { calls }) => sum + calls, 0)
  }
  await turnstile.shipped()

  const scrape = await Scrape.of(turnstile.adminUrl)
  t.equal(scrape.value('turnstile_errors_total'), 3)
  t.equal(scrape.value('turnstile_unread_responses_total'), 1)
  t.equal(scrape.value('turnstile_tool_errors_total', { gen_ai_tool_name: 'read' }), 2)

  const browser = await browserFor(t)
  const { page, problems } = await openDashboard(t, browser, turnstile.adminUrl)
  const findings = async (of = page) => {
    await of.evaluate(axe.source)
    return (await compute<AxeResults>(of, 'axe.run()')).violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`)
  }
  const rows = page.locator('#tool-table tbody tr')
  const names = () => rows.locator('th button').allTextContents()

  await t.test('calls, errors and bytes of each session', async t => {
    const cells = async (client: string) => {
      const row = rowOf(page, client)
      return await Promise.all(['calls', 'errors'].map(name => row.locator(`.${name}`).textContent()))
    }
    await reads(rowOf(page, 'reader').locator('.calls'), /^6$/)
    t.same(await cells('reader'), ['6', '2'])
    t.same(await cells('sender'), ['1', '1'])
    t.match(await rowOf(page, 'reader').locator('.bytes').textContent(), /^\d(\.\d)? kB$/)
    t.match(await rowOf(page, 'reader').locator('.errors').getAttribute('title'), '1 more')
    await page.getByRole('columnheader', { name: 'Errors' }).getByRole('button').click()
    await page.locator('[aria-sort=descending]', { hasText: 'Errors' }).waitFor()
    t.match(await page.locator('#grid-body .row .name').allTextContents(), [/^reader/, /^sender/])
    await rowOf(page, 'reader').click()
    await reads(
      page.locator('#drawer-facts'),
      /Tool calls6Errors2Unread responses1Bytes\d.* sent, \d.* received/
    )
    await page.keyboard.press('Escape')
    await page.locator('#drawer').waitFor({ state: 'hidden' })
  })

  await t.test('at all endpoints and at one, in the address too', async t => {
    await page.getByRole('tab', { name: 'Tools' }).click()
    await reads(rows.nth(2), /./)
    t.same(await names(), ['read', 'send', 'write'])
    t.match(await rows.nth(0).locator('td').allTextContents(), ['files', '5', '2', '40%', /ms|s$/, /ms|s$/])
    await page.locator('#tool-chart canvas').waitFor()
    t.strictSame(await findings(), [])
    await page.locator('#tool-chart .u-over').hover({ position: { x: 1, y: 50 } })
    await reads(page.locator('#tool-readout'), /^\d\d:\d\dcalls \d/)

    await page.mouse.move(0, 0)
    await page.getByRole('slider', { name: 'Tool calls over time' }).press('End')
    await reads(page.locator('#tool-readout'), /^\d\d:\d\dcalls \d.*errors \d.*longest \d/)
    await page.keyboard.press('Tab')
    await reads(page.locator('#tool-readout'), /^CallsErrors$/)

    await page.locator('#tool-table').getByRole('button', { name: 'Error rate' }).click()
    await page.locator('#tool-table [aria-sort=descending]', { hasText: 'Error rate' }).waitFor()
    t.same(await names(), ['send', 'read', 'write'])
    await rows.nth(1).getByRole('button').click()
    await reads(page.locator('#all-tools'), 'read')
    await page.getByRole('radio', { name: 'In total' }).check()
    await page.locator('#tool-chart').waitFor({ state: 'hidden' })
    await page.reload()
    await reads(page.locator('#all-tools'), 'read')
    await reads(rows.nth(2), /./)
    t.same(await names(), ['send', 'read', 'write'], 'the address says how they are looked at')
    t.equal(await rows.nth(1).getByRole('button').getAttribute('aria-pressed'), 'true')
    await page.locator('#all-tools').click()
    await page.locator('#all-tools').waitFor({ state: 'hidden' })
    await page.getByRole('radio', { name: 'By day' }).check()
    await page.locator('#tool-chart canvas').waitFor()

    await rows.nth(1).getByRole('button').click()
    await reads(page.locator('#all-tools'), 'read')
    await page.getByRole('button', { name: /^mail/ }).click()
    await reads(page.locator('#scope'), /^mail$/)
    await rows.nth(1).waitFor({ state: 'detached' })
    await reads(rows, /^send/)
    t.same(await names(), ['send'])
    t.notOk(await page.locator('#all-tools').isVisible(), 'it has no such tool')
  })

  await t.test('on a phone, in Chinese', async t => {
    const viewport = { width: 360, height: 740 }
    const url = `${turnstile.adminUrl}/#tab=tools`
    const phone = await openDashboard(t, browser, url, { viewport, locale: 'zh-CN', colorScheme: 'dark' })
    await reads(phone.page.locator('#tool-table'), /工具.*调用.*read.*files/s)
    t.equal(await compute(phone.page, 'document.documentElement.scrollWidth'), viewport.width)
    t.strictSame(await findings(phone.page), [])
    t.strictSame(phone.problems, [])
  })
  t.strictSame(problems, [])
})
