// Owns what all clients of the driver share: the proxies, the gateway, the sessions they expect, and when they may go on.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'
import type { Turnstile } from '../support/turnstile.js'
import { Exchange, type Sent } from './client.js'
import type { ExpectedSession, Rules } from './oracle.js'
import type { Script, Scripted, ScriptedGateway } from './scripted-gateway.js'
import type { ExpectedVisitor } from './visitors.js'

export interface Setup extends Rules {
  store: 'sqlite' | 'mysql'
  /** The number of workers of each proxy. */
  proxies: number[]
  streamIsUse: boolean
}

/** One request: what the client has of it, what the gateway has of it, and the proxy between. */
export interface Told {
  exchange: Exchange
  scripted: Scripted
  by: Turnstile
}

export const ENDPOINTS = ['e0', 'e1', 'E1', '知识库', 'my server', 'a/b', 'café', '100%', 'x+y', '__proto__']

export class Stage {
  readonly sessions: ExpectedSession[] = []
  readonly visitors: ExpectedVisitor[] = []
  /** What the product did wrong at once, without a look at its rows. */
  readonly violations: string[] = []
  requests = 0
  #names = 0
  #actors = 0
  #resting = 0
  #paused = false
  #over = false
  #resume: (() => void)[] = []

  constructor(
    readonly setup: Setup,
    readonly fleet: readonly Turnstile[],
    readonly gateway: ScriptedGateway
  ) {}

  /** A name that nobody else has. */
  name(what: string): string {
    return `${what}-${++this.#names}`
  }

  send(random: Random, sent: Sent, script: Script, by: Turnstile = random.pick(this.fleet)): Told {
    const { field, scripted } = this.gateway.expect(script)
    this.requests++
    const headers = { ...sent.headers, ...field }
    const exchange = new Exchange(by.proxyUrl, { ...sent, headers }, random.chance(0.3))
    void exchange.end.then(() => this.gateway.forget(field))
    return { exchange, scripted, by }
  }

  /** Runs a client until the end; `act` is one thing that it does. */
  async run(act: () => Promise<void>): Promise<void> {
    this.#actors++
    while (await this.turn(20)) await act()
    this.#actors--
  }

  /** Waits, also while everything rests; whether to go on. */
  async turn(ms: number): Promise<boolean> {
    if (!this.#over) await sleep(ms)
    this.#resting++
    while (this.#paused) await new Promise<void>(resolve => this.#resume.push(resolve))
    this.#resting--
    return !this.#over
  }

  /** Resolves once no client is in the middle of something. */
  async pause(): Promise<void> {
    this.#paused = true
    while (this.#resting < this.#actors) await sleep(20)
  }

  resume(): void {
    this.#paused = false
    for (const resume of this.#resume.splice(0)) resume()
  }

  end(): void {
    this.#over = true
    this.resume()
  }
}

export const encoded = (endpointId: string): string => encodeURIComponent(endpointId)

/** A path as one of the spellings that lead to the same endpoint; `fixed` are the letters of the pattern in it. */
export function spelled(random: Random, path: string, fixed: string): string {
  if (random.chance(0.7)) return path
  return random.pick([
    `${path}/`,
    `/${path}`,
    path.replaceAll('/', '//'),
    path.replace(fixed, fixed.toUpperCase()),
    path.replace(fixed, `%${fixed.charCodeAt(0).toString(16)}${fixed.slice(1)}`),
    `${path}?from=driver`
  ])
}
