// Owns what a full disk costs: forwarding goes on, the fact is loud, and the count is right once there is room again.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const DISK_MB = 8

interface Health {
  ready: boolean
  outbox: { ok: boolean; lostEvents: number }
}

/** Writes until the file system of `directory` is full; the file to delete again. */
function fill(directory: string): string {
  const path = join(directory, 'filler')
  const file = openSync(path, 'w')
  for (const bytes of [65_536, 1]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(file)
  return path
}

const isRoot = process.getuid?.() === 0

void t.test(
  'the outbox on a full disk',
  { timeout: 60_000, skip: isRoot ? false : 'only root may mount' },
  async t => {
    const disk = mkdtempSync(join(tmpdir(), 'turnstile-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'turnstile-test', disk])
    const gateway = await startFakeGateway()
    const turnstile = await Turnstile.start(gateway.url, disk, [
      '--store',
      `sqlite:${join(t.testdir(), 'ledger.db')}`
    ])
    t.teardown(async () => {
      await turnstile.stop()
      await gateway.stop()
      execFileSync('umount', ['--lazy', disk])
      rmdirSync(disk)
    })

    const visit = async (): Promise<number> => {
      const response = await fetch(`${turnstile.proxyUrl}/stream/e`, { method: 'POST', body: '{}' })
      await response.arrayBuffer()
      return response.status
    }
    const health = async (): Promise<Health> =>
      (await (await fetch(`${turnstile.adminUrl}/readyz`)).json()) as Health

    t.equal(await visit(), 200)
    const filler = fill(disk)
    let visits = 1
    while ((await health()).outbox.ok) {
      if ((await visit()) !== 200) t.fail('forwarding stopped')
      visits++
    }
    for (let i = 0; i < 10; i++) {
      t.equal(await visit(), 200, 'forwarding goes on')
      visits++
    }
    const full = await health()
    t.equal(full.ready, false)
    t.equal(full.outbox.lostEvents, 0, 'what happens meanwhile waits')
    const said = turnstile.log.filter(({ msg }) => /the outbox cannot be written/.test(String(msg)))
    t.match(said[0], { level: 40, reason: /full/ })
    const gapsMs = said.slice(1).map((entry, i) => Number(entry['time']) - Number(said[i]!['time']))
    t.ok(
      gapsMs.every(gapMs => gapMs >= 990),
      'it is said at most once a second'
    )

    rmSync(filler)
    while (!(await health()).ready) await sleep(20)
    t.equal(await visit(), 200)
    await turnstile.shipped()
    t.equal((await health()).outbox.lostEvents, 0)
    t.equal(await turnstile.count('e'), visits + 1)
  }
)
