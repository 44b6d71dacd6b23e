// Owns the registry of gateways: those that the settings name, and those that they no longer name but that have sessions left.
import type { Log } from '../../util/log.js'
import type { Closable } from '../../util/startup.js'
import { SECOND_MS } from '../../util/time.js'
import { chooseUpstream, type Work } from './choose-upstream.js'
import { type NamedUrl, Upstream, type UpstreamSettings } from './upstream.js'

/** How often to look whether a gateway that left the list has nothing left. Chosen. */
const SWEEP_INTERVAL_MS = SECOND_MS

/** What `Upstreams` needs. */
export interface UpstreamsOptions extends UpstreamSettings {
  upstreams: readonly NamedUrl[]
  log: Log
}

/** Starts what belongs to a gateway, and returns what ends it. */
export type Attach = (upstream: Upstream) => Closable

/** The gateways of one process. */
export class Upstreams implements Closable {
  readonly #options: UpstreamsOptions
  readonly #all = new Map<string, Upstream>()
  readonly #attaches = new Map<Attach, Map<Upstream, Closable>>()
  #draining: ReadonlySet<string> = new Set()
  #choices = 0
  readonly #sweep = setInterval(() => this.#removeUnused(), SWEEP_INTERVAL_MS).unref()
  /** Open sessions of a gateway, over all proxies of the store; asked only where there are several gateways. */
  openSessions: (name: string) => number = () => 0
  /** The only gateway, where there is one: then nothing is to be decided. */
  only: Upstream | undefined

  constructor(options: UpstreamsOptions) {
    this.#options = options
    for (const upstream of options.upstreams) this.#add(upstream)
  }

  /** All gateways, those that left the list included. */
  get all(): Iterable<Upstream> {
    return this.#all.values()
  }

  /** The gateway with this name. */
  get(name: string): Upstream | undefined {
    return this.#all.get(name)
  }

  /** The gateway for new work (`chooseUpstream`). */
  choose(work: Work, refusedBy?: ReadonlySet<string>): Upstream | undefined {
    const name = chooseUpstream(work, this.#all.values(), refusedBy)
    const chosen = name === undefined ? undefined : this.#all.get(name)
    if (chosen !== undefined) chosen.lastChoice = ++this.#choices
    return chosen
  }

  /** For each gateway there is, and each that comes, until it is removed or what is returned is closed. */
  attach(attach: Attach): Closable {
    const attached = new Map(Array.from(this.#all.values(), upstream => [upstream, attach(upstream)]))
    this.#attaches.set(attach, attached)
    return {
      close: async () => {
        this.#attaches.delete(attach)
        await Promise.all(Array.from(attached.values(), part => part.close()))
      }
    }
  }

  /**
   * The settings name these gateways now. One that they no longer name keeps its sessions until they end; one that has moved
   * to another URL is another gateway.
   */
  set(upstreams: readonly NamedUrl[]): void {
    const listed = new Map(upstreams.map(upstream => [upstream.name, upstream]))
    for (const upstream of this.#all.values()) {
      const { name, url } = upstream
      if (listed.get(name)?.url.href === url.href) {
        upstream.isListed = true
        listed.delete(name)
      } else if (listed.has(name)) void this.#remove(upstream)
      else if (upstream.isListed) {
        upstream.isListed = false
        this.#options.log.info(
          { upstream: name },
          'a gateway left the list; its sessions stay until they end'
        )
      }
    }
    for (const upstream of listed.values()) {
      this.#add(upstream)
      this.#options.log.info({ upstream: upstream.name, url: upstream.url.href }, 'a gateway joined the list')
    }
  }

  /** A gateway that left the list, and has sessions left, as the store says. */
  restore(upstream: NamedUrl): void {
    this.#add(upstream).isListed = false
  }

  /** The names of the drained gateways, those that this process does not have included. */
  get draining(): ReadonlySet<string> {
    return this.#draining
  }

  /** These gateways are drained, and no others. */
  setDraining(names: Iterable<string>): void {
    this.#draining = new Set(names)
    for (const upstream of this.#all.values()) upstream.isDraining = this.#draining.has(upstream.name)
    this.#changed()
  }

  /** Closes idle connections, and what was attached. */
  async close(): Promise<void> {
    clearInterval(this.#sweep)
    for (const upstream of this.#all.values()) await this.#remove(upstream)
  }

  #add(address: NamedUrl): Upstream {
    const upstream = new Upstream(address, this.#options, name => this.openSessions(name), this.#options.log)
    upstream.isDraining = this.#draining.has(address.name)
    this.#all.set(address.name, upstream)
    for (const [attach, attached] of this.#attaches) attached.set(upstream, attach(upstream))
    this.#changed()
    return upstream
  }

  async #remove(upstream: Upstream): Promise<void> {
    if (this.#all.get(upstream.name) === upstream) this.#all.delete(upstream.name)
    this.#changed()
    upstream.pool.close()
    for (const attached of this.#attaches.values()) {
      const part = attached.get(upstream)
      attached.delete(upstream)
      await part?.close()
    }
  }

  #removeUnused(): void {
    for (const upstream of this.#all.values())
      if (!upstream.isListed && upstream.underWay === 0 && upstream.openSessions === 0)
        void this.#remove(upstream)
  }

  #changed(): void {
    const [first] = this.#all.values()
    this.only = this.#all.size === 1 && first?.isDraining === false ? first : undefined
  }
}
