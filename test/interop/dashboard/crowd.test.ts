// Owns that ten thousand open sessions are as easy to look at as ten.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../../support/fake-gateway.js'
import { Turnstile } from '../../support/turnstile.js'
import { browserFor, compute, openDashboard, reads, until } from './page.js'

const SESSIONS = 10_000
const AT_ONCE = 32
/** Meanwhile one comes and goes so often. */
const VISIT_EVERY_MS = 50
/** What operators should never feel; a busy machine may make a few of them. */
const LONG_FRAME_MS = 100
const MAX_LONG_SHARE = 0.05

/** Frames and what kept the page busy for 50 ms or more, from now on, in ms each. */
const watchFrames = `
  frames = []
  tasks = []
  new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: 'longtask' })
  let last = performance.now()
  const next = now => {
    frames.push(now - last)
    last = now
    requestAnimationFrame(next)
  }
  requestAnimationFrame(next)`

void t.test('a list of 10,000 open sessions scrolls smoothly', { timeout: 240_000 }, async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--session-idle-timeout', '1h'])
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const open = async (endpointId: string): Promise<string> => {
    const url = `${turnstile.proxyUrl}/stream/${endpointId}`
    const response = await fetch(url, { method: 'POST', body: '{}', headers: { 'user-agent': 'crowd/1.0' } })
    await response.text()
    return response.headers.get('mcp-session-id')!
  }
  let left = SESSIONS
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await open(`e${left % 20}`)
    })
  )
  await turnstile.shipped()

  const { page, problems } = await openDashboard(t, await browserFor(t), turnstile.adminUrl)
  await reads(page.locator('#shown'), '10,000 open')
  await page.locator('#sessions').scrollIntoViewIfNeeded()
  await page.mouse.move(600, 600)

  let isScrolling = true
  const comingAndGoing = (async () => {
    while (isScrolling) {
      const id = await open('busy')
      const url = `${turnstile.proxyUrl}/stream/busy`
      await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': id } })
      await sleep(VISIT_EVERY_MS)
    }
  })()
  await page.evaluate(watchFrames)
  for (let i = 0; i < 150; i++) await page.mouse.wheel(0, i % 50 === 49 ? -40_000 : 1_500)
  const frames = (await compute<number[]>(page, 'frames')).sort((a, b) => a - b)
  const longestTask = await compute<number>(page, 'Math.max(0, ...tasks)')
  isScrolling = false
  await comingAndGoing
  const long = frames.filter(ms => ms > LONG_FRAME_MS)
  const at = (share: number) => Math.round(frames[Math.floor(frames.length * share)] ?? 0)
  t.comment(
    `${frames.length} frames: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${Math.round(frames.at(-1)!)} ms, longest task ${Math.round(longestTask)} ms, ${long.length} over ${LONG_FRAME_MS} ms`
  )
  t.ok(frames.length > 50)
  t.ok(long.length / frames.length < MAX_LONG_SHARE, 'scrolling is smooth while sessions come and go')
  t.ok((await page.locator('#grid-body .row').count()) < 100, 'only rows in sight are in the page')

  await page.locator('#grid').focus()
  await page.keyboard.press('End')
  await until(page, `document.getElementById('active-session')?.ariaRowIndex > ${SESSIONS}`)
  const bottom = await compute<number>(
    page,
    `document.getElementById('active-session').getBoundingClientRect().bottom - innerHeight`
  )
  t.ok(bottom <= 1, 'the last row is in sight')
  await page.keyboard.press('Home')
  await until(page, `document.getElementById('active-session')?.ariaRowIndex === '2'`)
  await page.getByRole('searchbox').fill('no such client')
  await reads(page.locator('#empty'), 'No session matches')
  t.strictSame(problems, [])
})
