// Owns that operators see real clients of a real gateway come, act and go, and can end a session.
import t from 'tap'
import { Gateway } from '../../support/gateway.js'
import { connectClient } from '../../support/sdk-clients.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, openDashboard, reads, rowOf } from './page.js'

const HOSTILE = '<img src=x onerror="document.title=1">'

void t.test('the dashboard follows sessions as they come and go', { timeout: 120_000 }, async t => {
  const gateway = await Gateway.start('gateway-rmcp0')
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const { page, problems } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  const openNow = page.locator('#open-now')
  const rows = page.locator('#grid-body .row')

  await reads(page.locator('#empty'), `Point an MCP client at ${turnstile.proxyUrl}/stream/{endpoint_id}`)
  await reads(openNow, /^0$/)
  for (const check of ['Gateway answers', 'Store ok', 'Outbox empty', 'Proxies 1 up', 'Live connected'])
    await reads(page.locator('#health li'), check.replace(' ', ''))

  const hostile = await connectClient(turnstile.proxyUrl, 'streamable', 'files', HOSTILE)
  await reads(openNow, /^1$/)
  await reads(rows, HOSTILE)
  await reads(page.locator('#activity'), `joined files`)
  const legacy = await connectClient(turnstile.proxyUrl, 'sse', 'search', 'legacy-client')
  await reads(openNow, /^2$/)
  await reads(rowOf(page, 'legacy-client'), /search.*SSE/)
  await hostile.echo('again')
  await reads(rowOf(page, HOSTILE).locator('.requests'), /^[34]$/)
  await reads(page.locator('#endpoints li'), /^search.*1$/)

  t.comment('narrowed to an endpoint, a transport, a text')
  await page.getByRole('button', { name: /^search/ }).click()
  await reads(openNow, /^1$/)
  await reads(page.locator('#shown'), '1 open')
  t.equal(await rowOf(page, HOSTILE).count(), 0)
  await page.getByRole('button', { name: 'Show all' }).click()
  await reads(page.locator('#shown'), '2 open')
  await page.getByLabel('Transport').selectOption('streamable')
  await reads(page.locator('#shown'), '1 of 2 open')
  t.equal(await rows.count(), 1)
  await page.getByLabel('Transport').selectOption('')
  await page.getByRole('searchbox').fill('LEGACY')
  await reads(page.locator('#shown'), '1 of 2 open')
  await page.getByRole('searchbox').fill('nobody like this')
  await reads(page.locator('#empty'), 'No session matches')
  await page.getByRole('searchbox').fill('')
  await reads(page.locator('#shown'), '2 open')

  t.comment('a session that leaves by itself')
  await legacy.terminate()
  await reads(openNow, /^1$/)
  await reads(page.locator('#activity'), /legacy-client left search after .*stream_end/)
  await page.getByRole('radio', { name: 'Ended' }).check()
  await reads(rowOf(page, 'legacy-client'), 'stream_end')
  await page.getByRole('radio', { name: 'All in range' }).check()
  await reads(page.locator('#shown'), '2 sessions')
  await page.getByRole('radio', { name: 'Open now' }).check()
  await reads(page.locator('#shown'), '1 open')

  t.comment('a session that is ended')
  const [row] = (await turnstile.connections()).filter(({ client_name }) => client_name === HOSTILE)
  const id = row!.session_id
  // The proxy itself asks the gateway for the tools of the endpoint, in a session of its own.
  const isAtGateway = async (): Promise<boolean> =>
    (await gateway.sessions()).endpoints['files']?.streamable.includes(id) === true
  await rowOf(page, HOSTILE).click()
  const drawer = page.getByRole('dialog', { name: HOSTILE })
  await reads(drawer.locator('#drawer-facts'), id)
  await reads(drawer.locator('#drawer-timeline'), /Opened.*Last used.*Open for/s)
  await drawer.getByRole('button', { name: 'End session…' }).click()
  const confirm = page.getByRole('dialog', { name: 'End this session?' })
  await confirm.getByRole('button', { name: 'Keep it' }).click()
  t.ok(await isAtGateway(), 'not without confirmation')
  await drawer.getByRole('button', { name: 'End session…' }).click()
  await confirm.getByRole('button', { name: 'End session', exact: true }).click()
  await reads(page.locator('#toast'), `The session of ${HOSTILE} on files was ended.`)
  await reads(openNow, /^0$/)
  await reads(page.locator('#activity'), /left files after .*killed/)
  t.notOk(await isAtGateway(), 'the gateway forgot it')
  await t.rejects(hostile.echo('anyone?'))
  await hostile.close()

  t.equal(await page.locator('img[src="x"]').count(), 0, 'what strangers wrote stays text')
  t.match(await page.title(), '0 open')
  t.strictSame(problems, [])
})
