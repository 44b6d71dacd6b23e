// Owns the buttons for the endpoint that is chosen: drain, end all, tools, delete.
import t from 'tap'
import { Gateway } from '../../support/gateway.js'
import { connectClient } from '../../support/sdk-clients.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, openDashboard, reads } from './page.js'

void t.test('what can be done with an endpoint', { timeout: 120_000 }, async t => {
  const gateway = await Gateway.start('gateway-rmcp3')
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--admin-token', 'read:reader,operator'])
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const clients = [
    await connectClient(turnstile.proxyUrl, 'streamable', 'files'),
    await connectClient(turnstile.proxyUrl, 'streamable', 'files'),
    await connectClient(turnstile.proxyUrl, 'streamable', 'search')
  ]
  t.teardown(() => Promise.all(clients.map(client => client.close().catch(() => undefined))))
  const browser = await browserFor(t)
  const open = async (token: string) => {
    const { page } = await openDashboard(t, browser, `${turnstile.adminUrl}/#endpoint=files`)
    await page.locator('#token-input').fill(token)
    await page.getByRole('dialog', { name: 'Admin token' }).getByRole('button').click()
    await reads(page.locator('#open-now'), /^2$/)
    return page
  }
  const page = await open('operator')
  const confirm = page.getByRole('dialog', { name: /\?$/ })
  const button = (name: string) => page.locator('#endpoint-actions').getByRole('button', { name })

  await button('Tools').click()
  await reads(page.getByRole('dialog', { name: 'Tools of files' }).locator('li'), 'echo')
  await page.keyboard.press('Escape')

  await button('Drain').click()
  await reads(page.locator('#toast'), 'files gets no new sessions.')
  await reads(page.locator('#endpoints li'), /^files.*draining/)
  await t.rejects(connectClient(turnstile.proxyUrl, 'streamable', 'files'), 'nobody comes in')

  const reader = await open('reader')
  for (const name of ['Take back', 'End all…', 'Delete…'])
    t.ok(await reader.locator('#endpoint-actions').getByRole('button', { name }).isDisabled(), name)
  t.ok(await reader.locator('#endpoint-actions').getByRole('button', { name: 'Tools' }).isEnabled())

  await button('Take back').click()
  await reads(page.locator('#toast'), 'files gets new sessions again.')
  clients.push(await connectClient(turnstile.proxyUrl, 'streamable', 'files'))
  await reads(page.locator('#endpoints li'), /^files.*3$/)
  t.ok(await button('Delete…').isDisabled())

  await button('End all…').click()
  await confirm.getByRole('button', { name: 'Keep them' }).click()
  await button('End all…').click()
  await reads(confirm, 'End all 3 sessions?')
  await confirm.getByRole('button', { name: 'End them' }).click()
  await reads(page.locator('#toast'), 'Ended: 3.')
  await reads(page.locator('#open-now'), /^0$/)
  t.same((await gateway.sessions()).endpoints['files']?.streamable ?? [], [])

  await button('Delete…').click()
  await confirm.getByRole('button', { name: 'Delete it' }).click()
  await reads(page.locator('#scope'), /^All endpoints$/)
  await reads(page.locator('#open-now'), /^1$/)
  await page.locator('#endpoints li').filter({ hasText: 'files' }).waitFor({ state: 'detached' })
})
