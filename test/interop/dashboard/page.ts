// Owns what the tests of the dashboard share: a page of it in a real browser, and all that goes wrong there.
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { startChromium } from '../../support/chromium.js'

const TIMEOUT_MS = 20_000
const POLL_MS = 50

export interface Dashboard {
  page: Page
  /** Errors of scripts, what the browser complains of (its policy's violations too), requests to elsewhere. */
  problems: string[]
}

/** A browser for all tests of a file. */
export async function browserFor(t: Test): Promise<Browser> {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  return browser
}

/** Times are shown in UTC. */
export async function openDashboard(
  t: Test,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {}
): Promise<Dashboard> {
  const context = await browser.newContext({ timezoneId: 'UTC', ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(TIMEOUT_MS)
  const problems: string[] = []
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text())
  })
  page.on('request', request => {
    if (new URL(request.url()).host !== new URL(url).host) problems.push(`it asks ${request.url()}`)
  })
  await page.goto(url)
  return { page, problems }
}

/** Resolves once the element reads so. */
export const reads = (locator: Locator, text: string | RegExp): Promise<void> =>
  locator.filter({ hasText: text }).first().waitFor()

/** The row of a client. */
export const rowOf = (page: Page, client: string): Locator =>
  page.locator('#grid-body .row').filter({ hasText: client })

/** What the browser computes from an expression. */
export const compute = async <T>(page: Page, expression: string): Promise<T> =>
  await page.evaluate<T>(expression)

/** Resolves once the browser computes true. */
export async function until(page: Page, expression: string): Promise<void> {
  for (let i = 0; i < TIMEOUT_MS / POLL_MS; i++) {
    if (await compute<boolean>(page, expression)) return
    await page.waitForTimeout(POLL_MS)
  }
  throw new Error(`it never becomes true: ${expression}`)
}
