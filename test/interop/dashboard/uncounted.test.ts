// Owns that the dashboard says when MCP passes on a path that is not counted.
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, openDashboard, reads } from './page.js'

const PATH = '/team/7/rpc'

void t.test('a path that no pattern counts is shown', { timeout: 120_000 }, async t => {
  const gateway = await startFakeGateway((request, response) => {
    if (request.url !== PATH) return false
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' }).end('{}')
    return true
  })
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const { page } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  await reads(page.locator('#health li'), 'Gatewayanswers')
  t.notOk(await page.locator('#uncounted').isVisible())
  await (await fetch(turnstile.proxyUrl + PATH, { method: 'POST', body: '{}' })).text()
  await page.reload()
  await reads(
    page.locator('#uncounted li'),
    /^MCP on \/\{…\}\/\{…\}\/rpc is not counted \(requests: 1\): give --stream-path .*\/rpc$/
  )
})
