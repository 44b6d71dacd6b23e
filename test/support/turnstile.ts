// Owns the product as a stranger meets it: the real process, its two ports, its answers over HTTP.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import type { Readiness } from '../../src/admin/schemas/readiness.js'

export type {
  ConnectionRow as ConnectionJson,
  MinutePoint as SeriesPointJson
} from '../../src/admin/schemas/query-responses.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
/** For a busy machine: 20 s were too few with ten processes waiting for each CPU. */
const START_TIMEOUT_MS = 60_000

export class Turnstile {
  readonly process: ChildProcess
  readonly proxyUrl: string
  readonly adminUrl: string
  /** Log lines so far, parsed. */
  readonly log: Record<string, unknown>[]

  private constructor(
    child: ChildProcess,
    urls: { proxyUrl: string; adminUrl: string },
    log: Record<string, unknown>[]
  ) {
    this.process = child
    this.proxyUrl = urls.proxyUrl
    this.adminUrl = urls.adminUrl
    this.log = log
  }

  /**
   * Starts `mcp-turnstile` with its data in `directory`, both ports free ones unless given; `program`: its main.js, `env`: variables
   * beside those of the tester. Throws when it exits.
   */
  static async start(
    upstream: string,
    directory: string,
    flags: readonly string[] = [],
    nodeFlags: readonly string[] = [],
    program = MAIN,
    env: Record<string, string> = {}
  ): Promise<Turnstile> {
    const defaults = {
      '--listen': '127.0.0.1:0',
      '--admin': '127.0.0.1:0',
      '--store': `sqlite:${directory}/turnstile.db`
    }
    const rest = Object.entries(defaults)
      .filter(([flag]) => !flags.includes(flag))
      .flat()
    const args = ['--upstream', upstream, '--data-dir', directory, ...rest, ...flags]
    const child = spawn(process.execPath, [...nodeFlags, program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...cleanEnv(), ...env }
    })
    const log: Record<string, unknown>[] = []
    const started = new Promise<Record<string, unknown>>((resolve, reject) => {
      createInterface(child.stdout).on('line', line => {
        const entry = JSON.parse(line) as Record<string, unknown>
        log.push(entry)
        if (entry['msg'] === 'listening') resolve(entry)
      })
      child.once('exit', (code, signal) => reject(new Error(`mcp-turnstile ended: ${code ?? signal}`)))
      setTimeout(() => reject(new Error('mcp-turnstile does not start')), START_TIMEOUT_MS).unref()
    })
    const { proxyUrl, adminUrl } = (await started) as { proxyUrl: string; adminUrl: string }
    return new Turnstile(child, { proxyUrl, adminUrl }, log)
  }

  /** An admin query's JSON answer; throws on any status but 200. */
  async query<T>(path: string): Promise<T> {
    const response = await fetch(new URL(path, this.adminUrl))
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  async count(endpointId?: string): Promise<number> {
    const query = endpointId === undefined ? '' : `?endpoint_id=${encodeURIComponent(endpointId)}`
    return (await this.query<{ connect_num: number }>(`/api/connections/endpoint/count${query}`)).connect_num
  }

  /** All sessions since 2000, newest first, page by page. */
  async connections(filter = ''): Promise<ConnectionRow[]> {
    const all: ConnectionRow[] = []
    let path: string | undefined =
      `/api/connections/endpoint?start_time=2000-01-01T00:00:00Z&limit=5000${filter}`
    while (path !== undefined) {
      const response: Response = await fetch(new URL(path, this.adminUrl))
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      all.push(...((await response.json()) as ConnectionRow[]))
      path = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    }
    return all
  }

  /** Resolves once the store has everything that was observed so far. */
  async shipped(): Promise<void> {
    for (;;) {
      const health = (await (await fetch(new URL('/readyz', this.adminUrl))).json()) as Readiness
      if (health.outbox.depth === 0) return
      await sleep(10)
    }
  }

  /** Ends it as an operator would; the exit code. */
  async stop(): Promise<number | null> {
    return await this.#end('SIGTERM')
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode
    const exited = once(this.process, 'exit') as Promise<[number | null]>
    this.process.kill(signal)
    return (await exited)[0]
  }
}

/** This process's environment without what tap puts there for its own children. */
function cleanEnv(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(_?TAP|TURNSTILE_|MCP_CONNECTION_|OTEL_)/.test(name))
  )
}
