// Owns what the dashboard shows to those who may not see everything, and when it is cut off.
import t, { type Test } from 'tap'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.js'
import { freePort } from '../../support/ports.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, rowOf } from './page.js'

async function openSession(turnstile: Turnstile): Promise<void> {
  const headers = { 'user-agent': 'somebody/1.0' }
  const url = `${turnstile.proxyUrl}/stream/files`
  await (await fetch(url, { method: 'POST', body: '{}', headers })).text()
}

interface Rig {
  gateway: FakeGateway
  turnstile: Turnstile
  directory: string
}

async function start(t: Test, flags: string[]): Promise<Rig> {
  const directory = t.testdir()
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, directory, flags)
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  await openSession(turnstile)
  await turnstile.shipped()
  return { gateway, turnstile, directory }
}

void t.test('the dashboard shows what a token may read', { timeout: 180_000 }, async t => {
  const browser = await browserFor(t)

  await t.test('a token is asked for, kept in the tab, and may allow reading only', async t => {
    const { turnstile } = await start(t, ['--admin-token', 'read:reader,operator'])
    const { page } = await openDashboard(t, browser, turnstile.adminUrl)
    const prompt = page.getByRole('dialog', { name: 'Admin token' })
    const give = async (token: string) => {
      await prompt.getByLabel('Token').fill(token)
      await prompt.getByRole('button').click()
    }
    await prompt.waitFor()
    t.equal(await page.locator('#token-message').textContent(), '')
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    await prompt.waitFor()
    t.notOk(await page.locator('main').isVisible(), 'there is nothing without one')
    await give('wrong')
    await reads(page.locator('#token-message'), 'This token is not accepted.')
    await give('reader')
    await reads(page.locator('#open-now'), /^1$/)
    t.equal(await compute(page, 'JSON.stringify(Object.values({ ...sessionStorage }))'), '["reader"]')
    t.notMatch(await compute<string>(page, 'JSON.stringify({ ...localStorage })'), 'reader')
    t.ok(await page.getByText('read only').isVisible())
    await rowOf(page, 'somebody').click()
    t.ok(await page.getByRole('button', { name: 'End session…' }).isDisabled())
    await reads(page.locator('#drawer-note'), 'Your token may only read.')
    await page.keyboard.press('Escape')

    await page.reload()
    await reads(page.locator('#open-now'), /^1$/)
    await page.getByRole('button', { name: 'Forget token' }).click()
    await prompt.waitFor()
    await give('operator')
    await reads(page.locator('#open-now'), /^1$/)
    t.notOk(await page.getByText('read only').isVisible())
    await rowOf(page, 'somebody').click()
    t.ok(await page.getByRole('button', { name: 'End session…' }).isEnabled())
  })

  await t.test('cut off it says so, and goes on when it can', async t => {
    const admin = `127.0.0.1:${await freePort()}`
    const { gateway, turnstile, directory } = await start(t, ['--admin', admin])
    const { page } = await openDashboard(t, browser, turnstile.adminUrl)
    const banner = page.locator('#banner')
    await reads(page.locator('#open-now'), /^1$/)
    t.notOk(await banner.isVisible())
    await turnstile.kill()
    await reads(
      banner,
      /^Disconnected from mcp-turnstile. What you see is from \d\d:\d\d:\d\d. Trying again…$/
    )
    await reads(page.locator('#health li'), 'Livedisconnected')
    await reads(page.locator('#health li'), 'Storeunknown')

    const again = await Turnstile.start(gateway.url, directory, ['--admin', admin])
    t.teardown(() => again.stop())
    await openSession(again)
    await banner.waitFor({ state: 'hidden' })
    await reads(page.locator('#open-now'), /^2$/)
    await reads(page.locator('#shown'), '2 open')
  })
})
