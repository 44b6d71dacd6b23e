// Owns the bad weather of the fault run: a log reader that stops and starts, and a disk that fills and empties.
import { execFile, execFileSync } from 'node:child_process'
import { rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Random } from '../support/random.js'

/** How long each lasts, up to; and the fair weather between two of them. */
const MAX_MS = 20_000

/** Only root may mount a small disk; for others there is none that fills. */
export const mayMount = process.getuid?.() === 0

/** A file system of its own at `directory`; returns a function that takes it away. */
export function mountDisk(directory: string, megabytes: number): () => void {
  if (!mayMount) return () => undefined
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'turnstile-test', directory])
  return () => void execFileSync('umount', ['--lazy', directory])
}

/** What happened. */
export interface Seen {
  stops: number
  fills: number
}

/** Stops and starts reading `log`, and fills and empties the disk of `directory`, until `running` aborts; then all is fair again. */
export async function weather(
  { log, directory, random }: { log: Readable; directory: string; random: Random },
  running: AbortSignal
): Promise<Seen> {
  const seen: Seen = { stops: 0, fills: 0 }
  const filler = join(directory, 'filler')
  const change = async (foul: () => Promise<void> | void, fair: () => void): Promise<void> => {
    while (!running.aborted) {
      await pause(random, running)
      await foul()
      await pause(random, running)
      fair()
    }
  }
  const stopReading = (): void => {
    log.pause()
    seen.stops++
  }
  const fillDisk = async (): Promise<void> => {
    await fill(directory, filler)
    seen.fills++
  }
  await Promise.all([
    change(stopReading, () => void log.resume()),
    mayMount && change(fillDisk, () => rmSync(filler, { force: true }))
  ])
  return seen
}

/** Takes all room that is left, to the last page, while others write too. */
async function fill(directory: string, filler: string): Promise<void> {
  for (let size = 0; ;) {
    const { bavail, bsize } = statfsSync(directory)
    if (bavail === 0) return
    const args = ['--offset', String(size), '--length', String(bavail * bsize), filler]
    await promisify(execFile)('fallocate', args).then(
      () => (size += bavail * bsize),
      () => undefined
    )
  }
}

const pause = (random: Random, running: AbortSignal): Promise<void> =>
  sleep(random.int(0, MAX_MS), undefined, { signal: running }).catch(() => undefined)
