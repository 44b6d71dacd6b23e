// Owns the real rmcp gateways of test/gateways (built by `npm run gateways`): starts them and reads their own live sessions.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CRATES = fileURLToPath(new URL('../../../test/gateways/', import.meta.url))

/** rmcp 3.x (Streamable HTTP only), or the last line that has the legacy SSE server too. */
export type GatewayName = 'gateway-rmcp3' | 'gateway-rmcp0'

export interface LiveSessions {
  endpoints: Record<string, { streamable: string[]; sse: string[] }>
}

export class Gateway {
  readonly url: string
  readonly process: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.process = child
    this.url = url
  }

  static async start(name: GatewayName, flags: readonly string[] = []): Promise<Gateway> {
    const child = spawn(`${CRATES}target/debug/${name}`, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of createInterface(child.stdout)) {
      const address = /^listening on (.*)$/.exec(line)?.[1]
      if (address !== undefined) return new Gateway(child, `http://${address}`)
    }
    throw new Error(`${name} ended before it listened`)
  }

  /** The session manager's own live ids. */
  async sessions(): Promise<LiveSessions> {
    return (await (await fetch(`${this.url}/__sessions`)).json()) as LiveSessions
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const exited = once(this.process, 'exit')
    this.process.kill(signal)
    await exited
  }
}
