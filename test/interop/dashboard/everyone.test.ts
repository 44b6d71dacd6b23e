// Owns that everyone can use the dashboard: by keyboard alone, with a screen reader, on a phone, light or dark.
import axe, { type AxeResults } from 'axe-core'
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads } from './page.js'

void t.test('everyone can use the dashboard', { timeout: 180_000 }, async t => {
  const browser = await browserFor(t)
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  for (let i = 0; i < 30; i++) {
    const headers = { 'user-agent': `client-${i}/1.0` }
    const url = `${turnstile.proxyUrl}/stream/${i % 3 ? 'files' : 'an-endpoint-with-a-name-that-goes-on-and-on-and-on'}`
    await (await fetch(url, { method: 'POST', body: '{}', headers })).text()
  }
  await turnstile.shipped()

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of [
      ['a wide screen', { width: 1440, height: 900 }],
      ['a phone', { width: 360, height: 740 }]
    ] as const) {
      await t.test(`${colorScheme}, on ${device}`, async t => {
        const { page, problems } = await openDashboard(t, browser, turnstile.adminUrl, {
          colorScheme,
          viewport,
          reducedMotion: 'reduce'
        })
        await reads(page.locator('#shown'), '30 open')
        await page.evaluate(axe.source)
        const findings = async () =>
          (await compute<AxeResults>(page, 'axe.run()')).violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`)
        t.strictSame(await findings(), [])
        t.equal(await compute(page, 'document.documentElement.scrollWidth'), viewport.width)
        await page.locator('#grid-body .row').nth(2).click()
        t.strictSame(await findings(), [], 'with the details open')
        t.ok((await page.locator('#drawer').boundingBox())!.width <= viewport.width)
        await page.getByRole('button', { name: 'End session…' }).click()
        t.strictSame(await findings(), [], 'with a question open')
        t.strictSame(problems, [])
      })
    }
  }

  await t.test('by keyboard alone', async t => {
    const { page } = await openDashboard(t, browser, turnstile.adminUrl)
    await reads(page.locator('#shown'), '30 open')
    const focused = () => compute<string>(page, 'document.activeElement.id')
    const press = (...keys: string[]) =>
      keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve())
    const tabTo = async (id: string) => {
      for (let i = 0; i < 30 && (await focused()) !== id; i++) await press('Tab')
      t.equal(await focused(), id)
    }
    await press('Tab', 'Enter')
    t.equal(await focused(), 'sessions', 'the first stop leads to the sessions')
    await tabTo('grid')
    const activeRow = async () =>
      Number(await compute(page, `document.getElementById('active-session').ariaRowIndex`))
    const first = await activeRow()
    await press('ArrowDown', 'ArrowDown', 'ArrowUp')
    t.equal(await activeRow(), first + 1)
    await press('Enter')
    await page.locator('#drawer').waitFor()
    await press('Escape')
    await page.locator('#drawer').waitFor({ state: 'hidden' })
    t.equal(await focused(), 'grid', 'back where it was')
    await press('Enter')
    await tabTo('drawer-end')
    await press('Enter')
    await page.locator('#confirm').waitFor()
    t.equal(
      await compute(page, 'document.activeElement.textContent'),
      'Keep it',
      'no accident ends a session'
    )
    await tabTo('confirm-yes')
    await press('Enter')
    await reads(page.locator('#toast'), 'was ended')
    await reads(page.locator('#open-now'), /^29$/)
    t.equal(await turnstile.count(), 29)
  })
})
