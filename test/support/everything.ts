// Owns the reference MCP server of the registry, `@modelcontextprotocol/server-everything`, as an upstream on loopback.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from './ports.js'

const INDEX = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
const LOOPBACK = new URL('./loopback.js', import.meta.url).href
const START_TIMEOUT_MS = 20_000

export interface EverythingServer {
  readonly url: string
  stop(): Promise<void>
}

/** Streamable HTTP is at `/mcp`; the legacy transport at `/sse`, its messages at `/message`. */
export async function startEverything(transport: 'streamableHttp' | 'sse'): Promise<EverythingServer> {
  const port = await freePort()
  const child = spawn(process.execPath, ['--import', LOOPBACK, INDEX, transport], {
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore'
  })
  const url = `http://127.0.0.1:${port}`
  await listening(url, child)
  return {
    url,
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
  }
}

async function listening(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      await fetch(url)
      return
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error('the server does not start', { cause: error })
      await sleep(50)
    }
  }
}
