// Owns servers of other projects that are told their port: a process that is waited for until it answers.
import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './ports.js'

/** For a busy machine: 20 s were too few with ten processes waiting for each CPU. */
const START_TIMEOUT_MS = 60_000

export interface ServerProcess {
  readonly url: string
  stop(): Promise<void>
}

/** Starts the command that is made for a port on loopback: a free one, unless it is given. */
export async function startServerProcess(
  command: (port: number) => { file: string; args: string[]; env?: NodeJS.ProcessEnv },
  givenPort?: number
): Promise<ServerProcess> {
  const port = givenPort ?? (await freePort())
  const { file, args, env } = command(port)
  const options: SpawnOptions = { stdio: 'ignore', env: { ...process.env, ...env } }
  const child = spawn(file, args, options)
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await answering(url, child)
  return {
    url,
    async stop() {
      child.kill('SIGKILL')
      await exited
    }
  }
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      await fetch(url)
      return
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) {
        child.kill('SIGKILL')
        throw new Error(`${child.spawnfile} does not start`, { cause: error })
      }
      await sleep(50)
    }
  }
}
