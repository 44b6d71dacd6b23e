// Owns what threads need besides their work: the name of a thread's file, and an exit of the process that breaks none in
// native code.
import { setTimeout as sleep } from 'node:timers/promises'
import { BroadcastChannel } from 'node:worker_threads'

const EXIT_CHANNEL = 'mcp-turnstile exit'
/** Chosen: many times as long as a statement takes, and little for someone who waits. */
const PARK_MS = 250

/** The URL of a thread's file. `specifier`: as in an import, from the module whose `import.meta.url` is `from`. */
export const threadFile = (specifier: string, from: string): URL => new URL(specifier, from)

/**
 * Lets `exitParked` hold this thread. For threads that run native code which aborts the process when it is ended under way:
 * neon, in which libsql is written, panics on an exception that is pending.
 */
export function parkAtExit(): void {
  const channel = new BroadcastChannel(EXIT_CHANNEL)
  channel.onmessage = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  channel.unref()
}

/** Ends the process with what is under way. The threads of `parkAtExit` are held first, each between two pieces of its work. */
export async function exitParked(code: number): Promise<never> {
  new BroadcastChannel(EXIT_CHANNEL).postMessage(undefined)
  await sleep(PARK_MS)
  process.exit(code)
}
