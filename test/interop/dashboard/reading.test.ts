// Owns how the reader has the page read: in English or Chinese, in local time or UTC, standing still; and what can be taken away.
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, rowOf } from './page.js'

void t.test('the page reads as its reader wants', { timeout: 180_000 }, async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const visit = async (client: string) => {
    const url = `${turnstile.proxyUrl}/stream/files`
    const response = await fetch(url, { method: 'POST', body: '{}', headers: { 'user-agent': client } })
    await response.text()
    return response.headers.get('mcp-session-id')!
  }
  const id = await visit('first/1.0')
  await turnstile.shipped()
  const browser = await browserFor(t)

  await t.test('Chinese by the language of the browser, English by the switch, and back', async t => {
    const { page, problems } = await openDashboard(t, browser, turnstile.adminUrl, { locale: 'zh-TW' })
    await reads(page.locator('#shown'), '1 个在线')
    await reads(page.locator('#scope'), '全部端点')
    await reads(page.locator('#health li'), '存储正常')
    t.equal(await compute(page, 'document.documentElement.lang'), 'zh-CN')
    await page.getByRole('radio', { name: '已结束' }).check()
    await reads(page.locator('#empty'), '该时间范围内没有会话。')
    await page.getByRole('radio', { name: '当前在线' }).check()
    await rowOf(page, 'first').click()
    await reads(page.locator('#drawer-timeline'), '已持续')
    await reads(page.locator('#drawer-facts'), /端点files.*会话 ID/s)
    await page.keyboard.press('Escape')
    const texts = await page.locator('body').innerText()
    t.notMatch(texts, /\b(open|session|endpoint|people|range)/i, 'nothing is left in English')
    await page.getByRole('button', { name: 'English' }).click()
    await reads(page.locator('#shown'), '1 open')
    await page.reload()
    await reads(page.locator('#shown'), '1 open')
    await page.getByRole('button', { name: '中文' }).click()
    await reads(page.locator('#shown'), '1 个在线')
    t.strictSame(problems, [])
  })

  await t.test('times are in the named zone, or in UTC', async t => {
    const { page } = await openDashboard(t, browser, turnstile.adminUrl, { timezoneId: 'Asia/Kolkata' })
    const zone = page.locator('#zone')
    await reads(zone, 'Asia/Calcutta (UTC+5:30)').catch(() => reads(zone, 'Asia/Kolkata (UTC+5:30)'))
    const opened = rowOf(page, 'first').locator('.opened')
    const [row] = await turnstile.connections()
    const clock = (timeZone: string) =>
      new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone }).format(Date.parse(row!.connect_at))
    await reads(opened, clock('Asia/Kolkata'))
    await zone.click()
    await reads(zone, /^UTC$/)
    await reads(opened, clock('UTC'))
    await page.reload()
    await reads(opened, clock('UTC'))
    await page.getByRole('button', { name: 'Custom…' }).click()
    const end = await page.getByLabel('To', { exact: true }).inputValue()
    t.ok(Math.abs(Date.parse(`${end}Z`) - Date.now()) < 120_000, 'a range is given in UTC too')
  })

  await t.test('a pause holds the page still until it goes on', async t => {
    const { page } = await openDashboard(t, browser, turnstile.adminUrl)
    await reads(page.locator('#open-now'), /^1$/)
    await page.getByRole('button', { name: 'Pause' }).click()
    await reads(page.locator('#age'), /^as of \d\d:\d\d:\d\d$/)
    const duration = await rowOf(page, 'first').locator('.duration').textContent()
    await visit('second/1.0')
    await turnstile.shipped()
    // Live updates come four times a second, the feed once.
    await page.waitForTimeout(3_000)
    await reads(page.locator('#open-now'), /^1$/)
    t.equal(await rowOf(page, 'first').locator('.duration').textContent(), duration)
    t.equal(await rowOf(page, 'second').count(), 0)
    await page.getByRole('button', { name: 'Resume' }).click()
    await reads(page.locator('#open-now'), /^2$/)
    await rowOf(page, 'second').waitFor()
    t.notOk(await page.locator('#age').isVisible())
  })

  await t.test('an id can be copied, with and without a clipboard', async t => {
    for (const hasClipboard of [true, false]) {
      const options = hasClipboard ? { permissions: ['clipboard-read', 'clipboard-write'] } : {}
      const { page } = await openDashboard(t, browser, turnstile.adminUrl, options)
      if (!hasClipboard) {
        await compute(page, `Object.defineProperty(navigator, 'clipboard', { value: undefined })`)
        await compute(page, `document.addEventListener('copy', () => copied = String(getSelection()))`)
      }
      await rowOf(page, 'first').click()
      await page.getByRole('button', { name: 'Copy: Session id' }).click()
      await reads(page.locator('#drawer-facts .copy'), 'Copied')
      t.equal(await compute(page, hasClipboard ? 'navigator.clipboard.readText()' : 'copied'), id)
    }
  })

  await t.test('the sessions of the range as CSV', async t => {
    const { page } = await openDashboard(t, browser, turnstile.adminUrl)
    await reads(page.locator('#shown'), '2 open')
    const coming = page.waitForEvent('download')
    await page.getByRole('button', { name: 'CSV' }).click()
    const download = await coming
    t.match(download.suggestedFilename(), /^mcp-sessions-\d{4}-\d\d-\d\d\.csv$/)
    const [head, ...rows] = (await readFile(await download.path(), 'utf8')).trim().split(/\r?\n/)
    t.match(head, /endpoint_id.*session_id/)
    t.equal(rows.length, 2)
  })
})
