// Owns the gateways under test: fixed ports, restarts and freezes, and when each of them was disturbed.
import { setTimeout as sleep } from 'node:timers/promises'
import { Gateway, type LiveSessions } from '../support/gateway.js'
import { freePort } from '../support/ports.js'
import { keyOf, SSE, STREAMABLE } from './expected-sessions.js'

/** After a fault of a gateway all proxies, those that were frozen meanwhile too, have found it again by then. */
const RECOVERY_MS = 20_000

interface Disturbance {
  from: number
  /** Infinity while it lasts. */
  to: number
  isRestart: boolean
}

/** One gateway, whichever process it is now. */
export class ChaosGateway {
  readonly name: string
  readonly #port: number
  readonly #disturbances: Disturbance[] = []
  #gateway: Gateway | undefined

  constructor(name: string, port: number) {
    this.name = name
    this.#port = port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#gateway = await Gateway.start('gateway-rmcp0', ['--port', String(this.#port)])
  }

  /** `kill -9`; it is there again after this time, without its sessions. */
  async restart(awayMs: number): Promise<void> {
    await this.#disturb(true, async () => {
      await this.#gateway?.kill()
      await sleep(awayMs)
      await this.start()
    })
  }

  /** It keeps its connections, and does not respond. */
  async freeze(ms: number): Promise<void> {
    await this.#disturb(false, async () => {
      this.#gateway?.process.kill('SIGSTOP')
      await sleep(ms)
      this.#gateway?.process.kill('SIGCONT')
    })
  }

  /** Whether it was disturbed, or not yet found again by all, at that time or later. */
  disturbedSince(at: number): boolean {
    return this.#disturbances.some(({ to }) => to + RECOVERY_MS >= at)
  }

  /** Whether it lost its sessions after that time. */
  restartedSince(at: number): boolean {
    return this.#disturbances.some(({ to, isRestart }) => isRestart && to >= at)
  }

  sessions(): Promise<LiveSessions> {
    return this.#gateway!.sessions()
  }

  async stop(): Promise<void> {
    await this.#gateway?.stop()
  }

  killNow(): void {
    this.#gateway?.process.kill('SIGKILL')
  }

  async #disturb(isRestart: boolean, cause: () => Promise<void>): Promise<void> {
    const disturbance: Disturbance = { from: Date.now(), to: Infinity, isRestart }
    this.#disturbances.push(disturbance)
    await cause()
    disturbance.to = Date.now()
  }
}

/** All of them. */
export class Gateways {
  readonly all: readonly ChaosGateway[]

  private constructor(all: readonly ChaosGateway[]) {
    this.all = all
  }

  static async start(names: readonly string[]): Promise<Gateways> {
    const all: ChaosGateway[] = []
    for (const name of names) all.push(new ChaosGateway(name, await freePort()))
    await Promise.all(all.map(gateway => gateway.start()))
    return new Gateways(all)
  }

  /** As `--upstream` has them. */
  get upstream(): string {
    return this.all.map(({ name, url }) => `${name}=${url}`).join()
  }

  disturbedSince(at: number): boolean {
    return this.all.some(gateway => gateway.disturbedSince(at))
  }

  /** Of one gateway, or of any. */
  restartedSince(at: number, name?: string | null): boolean {
    return this.all.some(gateway => (name == null || gateway.name === name) && gateway.restartedSince(at))
  }

  /** The sessions that live, by their keys, with the names of their gateways. */
  async live(): Promise<Map<string, string>> {
    const live = new Map<string, string>()
    for (const gateway of this.all)
      for (const [endpointId, { streamable, sse }] of Object.entries((await gateway.sessions()).endpoints)) {
        for (const sessionId of streamable)
          live.set(keyOf({ endpointId, sessionId, transport: STREAMABLE }), gateway.name)
        for (const sessionId of sse) live.set(keyOf({ endpointId, sessionId, transport: SSE }), gateway.name)
      }
    return live
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map(gateway => gateway.stop()))
  }

  killNow(): void {
    for (const gateway of this.all) gateway.killNow()
  }
}
