// Owns the browser that the dashboard is tested in: finds Chromium or installs Debian's, and starts it without a screen.
import { type Browser, chromium } from 'playwright-core'
import { canInstallPackages, findProgram, installPackages } from './programs.js'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking'
]

/** There is no browser for the tests. */
export class BrowserError extends Error {
  readonly code = 'TEST_BROWSER'
}

/** A browser without a window; whoever starts it closes it. */
export const startChromium = (): Promise<Browser> =>
  chromium.launch({ executablePath: installedChromium(), args: FLAGS })

/** Its path. Throws `BrowserError` where there is none and none can be installed. Installs for one process at a time. */
export function installedChromium(): string {
  const path = find() ?? (canInstallPackages() && installPackages('chromium') ? find() : undefined)
  if (path === undefined) throw new BrowserError('no browser to test in: install chromium')
  return path
}

const find = (): string | undefined => findProgram(['chromium', 'chromium-browser', 'google-chrome'])
