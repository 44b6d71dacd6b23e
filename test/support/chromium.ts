// Owns the browser that the dashboard is tested in: finds Chromium or installs Debian's, and starts it without a screen.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking'
]

export class BrowserError extends Error {
  readonly code = 'TEST_BROWSER'
}

export const startChromium = (): Promise<Browser> =>
  chromium.launch({ executablePath: installedChromium(), args: FLAGS })

/** Its path. Throws `BrowserError` where there is none and none can be had. For one process at a time, if it has to be installed. */
export function installedChromium(): string {
  const installed = find()
  if (installed !== undefined) return installed
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    aptGet('update')
    aptGet('install', 'chromium')
  }
  const fresh = find()
  if (fresh !== undefined) return fresh
  throw new BrowserError('no browser to test in: install chromium')
}

function aptGet(...args: string[]): void {
  const options = ['-qq', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', [...options, ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

function find(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap(name => folders.map(folder => join(folder, name)))
    .find(path => existsSync(path))
}
