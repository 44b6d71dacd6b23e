// Owns that operators see people beside sessions: who is there, the page of one principal and of one conversation.
import axe, { type AxeResults } from 'axe-core'
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { jwt } from '../../support/jwt.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, rowOf } from './page.js'

const ISSUER = 'https://login.example'
const nameOf = (sub: string) => new RegExp(sub)

void t.test('people and conversations', { timeout: 180_000 }, async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const visit = async (sub: string | undefined, endpointId: string, conversation?: string) => {
    const headers = {
      'user-agent': `agent-of-${sub ?? 'nobody'}/1.0`,
      ...(sub !== undefined && { authorization: `Bearer ${jwt({ iss: ISSUER, sub })}` }),
      ...(conversation !== undefined && { 'mcp-client-session-id': conversation })
    }
    const url = `${turnstile.proxyUrl}/stream/${endpointId}`
    const response = await fetch(url, { method: 'POST', body: '{}', headers })
    await response.text()
    return response.headers.get('mcp-session-id')!
  }
  for (let i = 0; i < 4; i++) await visit('alice', i % 2 ? 'files' : 'search', 'thread-1')
  const ended = await visit('alice', 'files', 'thread-2')
  await fetch(`${turnstile.proxyUrl}/stream/files`, {
    method: 'DELETE',
    headers: { 'mcp-session-id': ended }
  })
  await visit('bob', 'files')
  await visit(undefined, 'files')
  await turnstile.shipped()
  const { page, problems } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  await reads(page.locator('#open-now'), /^6$/)
  await reads(page.locator('#people-now'), /^3$/)
  // thread-1 is one on each of its two endpoints.
  await reads(page.locator('#conversations-now'), /^4$/)

  await page.getByRole('tab', { name: 'People' }).click()
  const people = page.locator('#people-body tr')
  await reads(people.nth(0), nameOf('alice'))
  t.equal(await people.count(), 2)
  t.match(await people.nth(0).locator('td').allTextContents(), [
    '4',
    '5',
    '5',
    /\d\d:/,
    /files.*search|search.*files/
  ])
  await page.evaluate(axe.source)
  const findings = async () =>
    (await compute<AxeResults>(page, 'axe.run()')).violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`)
  t.strictSame(await findings(), [])

  t.comment('one principal')
  await people.nth(0).getByRole('button').click()
  await reads(page.locator('#subject-title'), nameOf('alice'))
  await reads(page.locator('#subject-open'), /^4$/)
  await reads(page.locator('#subject-sessions'), /^5$/)
  await reads(page.locator('#shown'), '5 of 7 sessions').catch(() =>
    reads(page.locator('#shown'), '5 of 5 sessions')
  )
  const bars = page.locator('#subject-timeline .bars .span')
  t.equal(await bars.count(), 5)
  t.equal(await page.locator('#subject-timeline .bars .span.ended').count(), 1)
  t.same(await page.locator('#subject-timeline .lane-name').allTextContents(), ['files', 'search'])
  const lists = `[...document.querySelectorAll('#subject-timeline ol')]`
  t.same(await compute(page, `${lists}.map(list => list.children.length)`), [3, 2], 'by endpoint')
  await page.locator('#subject-timeline .bars .span.ended').hover()
  await reads(
    page.locator('#subject-timeline .readout'),
    /^agent-of-alice.*files.*Ended after \d+ s: the client said goodbye.*1 request.*calls 0.*errors 0$/
  )
  t.match(await page.locator('#subject-calls').textContent(), /^0$/)
  t.match(await page.locator('#subject-bytes').textContent(), /kB$/)
  t.equal(await rowOf(page, 'agent-of-bob').count(), 0)
  t.strictSame(await findings(), [])
  await visit('alice', 'mail', 'thread-2')
  await reads(page.locator('#subject-open'), /^5$/)
  await reads(page.locator('#subject-lists'), 'mail')

  t.comment('one conversation of it')
  await page
    .locator('#subject-lists')
    .getByRole('button', { name: /^thread-1/ })
    .click()
  await reads(page.locator('#subject-title'), /^thread-1$/)
  await reads(page.locator('#subject-sessions'), /^4$/)
  t.notOk(await page.locator('#subject-actions').isVisible())
  await page.reload()
  await reads(page.locator('#subject-sessions'), /^4$/)
  await bars.first().click()
  await reads(page.locator('#drawer-facts'), /Conversation.*thread-1/s)
  await page.locator('#drawer-facts').getByRole('button', { name: /alice/ }).click()
  await reads(page.locator('#subject-title'), nameOf('alice'))
  await page.locator('#drawer').waitFor({ state: 'hidden' })

  t.comment('all of its sessions are ended, then its name is erased')
  const confirm = page.getByRole('dialog', { name: /\?$/ })
  await page.locator('#subject-end').click()
  await confirm.getByRole('button', { name: 'End them' }).click()
  await reads(page.locator('#toast'), 'Ended: 5.')
  await reads(page.locator('#subject-open'), /^0$/)
  t.ok(await page.locator('#subject-end').isDisabled(), 'there is nothing left to end')
  await page.locator('#subject-erase').click()
  await confirm.getByRole('button', { name: 'Erase it' }).click()
  await reads(page.locator('#toast'), 'The name was erased in sessions: 6.')
  await reads(page.locator('#subject-sessions'), /^6$/)
  t.notMatch(await page.locator('#subject-title').textContent(), 'alice')
  await page.getByRole('button', { name: 'All sessions' }).click()
  await reads(page.locator('#shown'), '2 open')
  await page.getByLabel('Person', { exact: true }).selectOption({ index: 1 })
  await reads(page.locator('#subject'), /./)
  t.strictSame(problems, [])
})

void t.test('nothing is done with a person by who may only read, nor by a name that is hidden', async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), [
    '--admin-token',
    'read:reader,writer',
    '--mask'
  ])
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const authorization = `Bearer ${jwt({ iss: ISSUER, sub: 'alice' })}`
  const url = `${turnstile.proxyUrl}/stream/files`
  await (await fetch(url, { method: 'POST', body: '{}', headers: { authorization } })).text()
  await turnstile.shipped()
  const browser = await browserFor(t)
  for (const [token, why] of [
    ['reader', 'Your token may only read.'],
    ['writer', 'The name is hidden (--mask): nothing can be done with it here.']
  ] as const) {
    const { page } = await openDashboard(t, browser, `${turnstile.adminUrl}/#tab=people`)
    await page.getByLabel('Token', { exact: true }).fill(token)
    await page.keyboard.press('Enter')
    await page
      .locator('#people-body')
      .getByRole('button', { name: /^masked-/ })
      .click()
    await reads(page.locator('#subject-sessions'), /^1$/)
    for (const id of ['#subject-end', '#subject-erase']) {
      t.ok(await page.locator(id).isDisabled())
      t.equal(await page.locator(id).getAttribute('title'), why)
    }
  }
})
