// Owns `npm run bench:outage`: what the absence of the database costs proxied requests. Brings its own MariaDB.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startDatabase } from '../support/mariadb.js'
import { Turnstile } from '../support/turnstile.js'
import { compare } from './alternating.js'
import { startUpstream } from './parts/set-up.js'
import { PROXY_CPU } from './processes.js'

const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))
const upstream = await startUpstream(PROXY_CPU)
const database = await startDatabase({ own: true })
const turnstile = await Turnstile.start(upstream.url, directory, ['--store', database.url])

/** Until everything that waited is in the database again. */
async function caughtUp(): Promise<void> {
  for (;;) {
    const { ready, outbox } = (await (await fetch(`${turnstile.adminUrl}/readyz`)).json()) as {
      ready: boolean
      outbox: { depth: number }
    }
    if (ready && outbox.depth === 0) return
    await sleep(100)
  }
}

await caughtUp()
await compare('database there → away', turnstile, async () => {
  database.kill()
  while ((await fetch(`${turnstile.adminUrl}/readyz`)).status === 200) await sleep(100)
  return async () => {
    await database.restart()
    await caughtUp()
  }
})
await turnstile.stop()
await database.stop()
await upstream.stop()
rmSync(directory, { recursive: true })
