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
/** What operators should never feel. */
const LONG_FRAME_MS = 100

/** Frames from now on, in ms each. */
const watchFrames = `
  frames = []
  let last = performance.now()
  const next = now => {
    frames.push(now - last)
    last = now
    requestAnimationFrame(next)
  }
  requestAnimationFrame(next)`

/** What Chromium tells of its threads, as far as it is needed. */
interface TraceEvent {
  name: string
  pid: number
  tid: number
  /** CPU time of the thread, in µs. */
  tdur?: number
  args?: { name?: string }
}

/** The CPU times of the tasks of the page, in ms: those do not depend on what else the machine does. */
function tasksOf(trace: Buffer): number[] {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] }
  const threadOf = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`
  const pages = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(threadOf)
  )
  return traceEvents
    .filter(event => event.tdur !== undefined && pages.has(threadOf(event)))
    .map(({ tdur }) => tdur! / 1_000)
}

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

  const browser = await browserFor(t)
  const { page, problems } = await openDashboard(t, browser, turnstile.adminUrl)
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
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline'] })
  for (let i = 0; i < 150; i++) await page.mouse.wheel(0, i % 50 === 49 ? -40_000 : 1_500)
  const frames = (await compute<number[]>(page, 'frames')).sort((a, b) => a - b)
  const tasks = tasksOf(await browser.stopTracing())
  isScrolling = false
  await comingAndGoing
  const at = (share: number) => Math.round(frames[Math.floor(frames.length * share)] ?? 0)
  const longest = tasks.reduce((most, ms) => Math.max(most, ms), 0)
  t.comment(
    `${frames.length} frames: median ${at(0.5)} ms, p99 ${at(0.99)} ms; of ${tasks.length} tasks the longest takes ${Math.round(longest)} ms of CPU`
  )
  t.ok(frames.length > 50)
  t.ok(tasks.length > 100, 'the browser tells of its tasks')
  t.ok(longest < LONG_FRAME_MS, 'scrolling is smooth while sessions come and go')
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
