// Owns `npm run bench:watchers`: what 1,000 subscribers to live monitoring, and 10,000 sessions a minute that open and close
// before their eyes, cost the other requests.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Turnstile } from '../support/turnstile.js'
import { compare, startUpstream } from './alternating.js'

const WATCHERS = fileURLToPath(new URL('./watchers.js', import.meta.url))

const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))
const upstream = await startUpstream()
const turnstile = await Turnstile.start(upstream.url, directory)
await compare('quiet → watched', turnstile.proxyUrl, async () => {
  const watchers = spawn(process.execPath, [WATCHERS, turnstile.adminUrl, turnstile.proxyUrl], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const lines = createInterface(watchers.stdout)
  await once(lines, 'line')
  return async () => {
    watchers.stdin.end()
    await once(watchers, 'exit')
  }
})
await turnstile.stop()
upstream.stop()
rmSync(directory, { recursive: true })
