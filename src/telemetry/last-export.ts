// Owns how long the end of a process waits for its last export.
import { setTimeout as sleep } from 'node:timers/promises'

/** At least so long, however much of the drain time is left. Chosen: a collector far away takes some hundred milliseconds. */
const MIN_WAIT_MS = 1_000

/** Resolves when an export is done, or takes too long. Never rejects. */
export async function lastExport(exported: Promise<void>, withinMs: number): Promise<void> {
  await Promise.race([exported.catch(() => undefined), sleep(Math.max(withinMs, MIN_WAIT_MS))])
}
