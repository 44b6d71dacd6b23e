// Owns the proxies under test: fixed ports and data directories, deaths and freezes, and the history of their lives.
import { join } from 'node:path'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

/** The shortest that the settings allow. */
export const LEASE_MS = 6_000
/** A process that has run for this long since an answer has told its outbox of it: uses wait for the next second. */
const TOLD_AFTER_MS = 2_500

interface Life {
  from: number
  /** Infinity while it lives. */
  to: number
  frozen: { from: number; to: number }[]
}

export interface Health {
  ready: boolean
  outbox: { depth: number; lostEvents: number }
}

export class Member {
  readonly name: string
  readonly url: string
  readonly wire: CuttingProxy
  readonly adminUrl: string
  readonly #start: () => Promise<Turnstile>
  readonly #lives: Life[] = []
  readonly #logs: Turnstile['log'][] = []
  #turnstile: Turnstile | undefined
  /** Deaths that nobody ordered. */
  readonly crashes: string[] = []

  constructor(name: string, wire: CuttingProxy, ports: [number, number], upstream: string, data: string) {
    const [listen, admin] = ports.map(port => `127.0.0.1:${port}`) as [string, string]
    this.name = name
    this.wire = wire
    this.url = `http://${listen}`
    this.adminUrl = `http://${admin}`
    const flags = ['--listen', listen, '--admin', admin, '--store', wire.url, '--lease', `${LEASE_MS}ms`]
    flags.push('--session-idle-timeout', '0', '--drain-timeout', '100ms')
    this.#start = () => Turnstile.start(upstream, data, flags)
  }

  async start(): Promise<void> {
    const life: Life = { from: Date.now(), to: Infinity, frozen: [] }
    const turnstile = await this.#start()
    this.#turnstile = turnstile
    this.#lives.push(life)
    this.#logs.push(turnstile.log)
    turnstile.process.once('exit', (code, signal) => {
      if (life.to === Infinity) this.crashes.push(`${this.name} ended by itself: ${code ?? signal}`)
    })
  }

  /** `kill -9`, of a frozen process too. */
  async kill(): Promise<void> {
    const life = this.#lives.at(-1)!
    life.to = Date.now()
    await this.#turnstile?.kill()
  }

  /** Ends it in order; the exit code. */
  async stop(): Promise<number | null> {
    this.#lives.at(-1)!.to = Date.now()
    return (await this.#turnstile?.stop()) ?? null
  }

  /** For the end of a run that failed: no process stays behind. */
  killNow(): void {
    this.#turnstile?.process.kill('SIGKILL')
  }

  freeze(): void {
    this.#turnstile?.process.kill('SIGSTOP')
    this.#lives.at(-1)!.frozen.push({ from: Date.now(), to: Infinity })
  }

  thaw(): void {
    this.#lives.at(-1)!.frozen.at(-1)!.to = Date.now()
    this.#turnstile?.process.kill('SIGCONT')
  }

  /** The process that lives now. */
  get turnstile(): Turnstile {
    return this.#turnstile!
  }

  async health(): Promise<Health> {
    return (await (await fetch(`${this.adminUrl}/readyz`)).json()) as Health
  }

  /** Whether the process that gave an answer at `at` surely lived on to write it down. */
  wroteDown(at: number): boolean {
    const life = this.#lives.find(({ from, to }) => from <= at && at < to)
    if (!life) return false
    const frozenMs = life.frozen.reduce(
      (sum, { from, to }) => sum + Math.max(0, Math.min(to, life.to) - Math.max(from, at)),
      0
    )
    return life.to - at - frozenMs >= TOLD_AFTER_MS
  }

  /** Streams of other proxies that this one closed as lost. */
  get streamsLost(): number {
    const lines = this.#logs.flat().filter(line => String(line['msg']).startsWith('another proxy is gone'))
    return lines.reduce((sum, line) => sum + Number(line['streams']), 0)
  }
}

/** Proxies not yet started in front of the gateway, each on its own wire to the database and in its own data directory. */
export async function createFleet(
  names: readonly string[],
  { upstream, databaseUrl, directory }: { upstream: string; databaseUrl: string; directory: string }
): Promise<Member[]> {
  const fleet: Member[] = []
  for (const name of names) {
    const wire = await CuttingProxy.start(databaseUrl)
    const ports: [number, number] = [await freePort(), await freePort()]
    fleet.push(new Member(name, wire, ports, upstream, join(directory, name)))
  }
  return fleet
}
