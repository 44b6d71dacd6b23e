// Owns that operators see several gateways, and drain one, in the dashboard.
import t from 'tap'
import { Gateway } from '../../support/gateway.js'
import { connectClient } from '../../support/sdk-clients.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, openDashboard, reads } from './page.js'

void t.test('the dashboard shows gateways and drains them', { timeout: 120_000 }, async t => {
  const gateways = [await Gateway.start('gateway-rmcp3'), await Gateway.start('gateway-rmcp0')]
  const upstream = gateways.map(({ url }, i) => `gateway-${i}=${url}`).join()
  const turnstile = await Turnstile.start(upstream, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    for (const gateway of gateways) await gateway.stop()
  })
  const { page, problems } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  const item = (name: string) => page.locator('#gateways li').filter({ hasText: name })
  await reads(item('gateway-0').locator('.number'), /^0$/)
  const clients = [
    await connectClient(turnstile.proxyUrl, 'streamable', 'e'),
    await connectClient(turnstile.proxyUrl, 'streamable', 'e')
  ]
  for (const name of ['gateway-0', 'gateway-1']) {
    await reads(item(name).locator('.number'), /^1$/)
    await reads(item(name), 'up')
    await reads(item(name), '1 streams')
  }

  await item('gateway-0').getByRole('button', { name: 'Drain gateway-0' }).click()
  await reads(page.locator('#toast'), 'gateway-0 gets no new sessions.')
  await reads(item('gateway-0'), 'draining')
  t.equal(await item('gateway-0').getByText('safe to stop').isVisible(), false)
  for (const client of clients) await client.terminate()
  await item('gateway-0').getByText('safe to stop').waitFor()
  t.equal(await item('gateway-1').getByText('safe to stop').isVisible(), false)

  await gateways[1]!.stop()
  await reads(item('gateway-1'), 'down')
  await item('gateway-0').getByRole('button', { name: 'Give gateway-0 new sessions again' }).click()
  await reads(page.locator('#toast'), 'gateway-0 gets new sessions again.')
  await reads(item('gateway-0'), 'up')
  if (process.env['SCREENSHOT'] !== undefined) await page.screenshot({ path: process.env['SCREENSHOT'] })
  t.same(problems, [])
})

void t.test('one gateway is not shown', { timeout: 60_000 }, async t => {
  const gateway = await Gateway.start('gateway-rmcp3')
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const { page } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  await page.locator('#health').getByText('Gateway').waitFor()
  const answered = page.waitForResponse(response => response.url().endsWith('/api/mcp/upstreams'))
  await page.reload()
  await answered
  t.equal(await page.locator('#gateways-panel').isVisible(), false)
})
