// Owns running the command line of the product as scripts do: what it prints, and its exit code.
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** The built command line. */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs it to its end, without a terminal. */
export async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const { NODE_OPTIONS: _, ...own } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...own, ...env }
  })
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { code, stdout, stderr }
}
