// Owns gateways by DNS (`dns+http://name:port`): each address of the name is one, and the name is looked up again and again.
import { lookup, resolve4, resolve6 } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { isByDns, type UpstreamAddress } from '../config/upstream-list.js'
import type { NamedUrl } from '../proxy/balancing/upstream.js'
import { reasonOf } from '../util/errors.js'
import { type Log, ThrottledLog } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import { MINUTE_MS, SECOND_MS } from '../util/time.js'

/** How often. Fixed by the specification of this proxy (NEXT §1). */
const LOOK_UP_INTERVAL_MS = 5 * SECOND_MS
const DEFAULT_PORT = '80'

/** The gateways that the settings name, with the addresses in place of the names. */
export class DnsNames implements Closable {
  readonly #throttledLog: ThrottledLog
  readonly #addresses = new Map<string, string[]>()
  readonly #timer = setInterval(() => void this.#lookUp(), LOOK_UP_INTERVAL_MS).unref()
  #named: readonly UpstreamAddress[] = []
  /** The gateways may be others now. */
  onChange: () => void = () => undefined

  constructor(log: Log) {
    this.#throttledLog = new ThrottledLog(log, 1, MINUTE_MS)
  }

  /** The settings name these gateways now; resolves once names among them were looked up. */
  async set(named: readonly UpstreamAddress[]): Promise<void> {
    this.#named = named
    await this.#lookUp()
    this.onChange()
  }

  /** The gateways as far as they are known; of two with one name the first. */
  gateways(): NamedUrl[] {
    const all = this.#named.flatMap((named): NamedUrl[] => (isByDns(named) ? this.#ofName(named) : [named]))
    return [...new Map(all.toReversed().map(gateway => [gateway.name, gateway])).values()].toReversed()
  }

  close(): Promise<void> {
    clearInterval(this.#timer)
    return Promise.resolve()
  }

  #ofName({ url: { hostname, port, pathname } }: UpstreamAddress): NamedUrl[] {
    return (this.#addresses.get(hostname) ?? []).map(address => {
      const name = `${isIPv6(address) ? `[${address}]` : address}:${port || DEFAULT_PORT}`
      return { name, url: new URL(`http://${name}${pathname}`) }
    })
  }

  async #lookUp(): Promise<void> {
    const hosts = new Set(this.#named.filter(isByDns).map(({ url }) => url.hostname))
    const before = this.#shown()
    await Promise.all(
      Array.from(hosts, async host => {
        try {
          this.#addresses.set(host, (await addressesOf(host)).sort())
        } catch (error) {
          this.#throttledLog.warn(
            { host, reason: reasonOf(error) },
            'a name of --upstream cannot be looked up; its last known addresses stay'
          )
        }
      })
    )
    for (const host of this.#addresses.keys()) if (!hosts.has(host)) this.#addresses.delete(host)
    if (this.#shown() !== before) this.onChange()
  }

  #shown(): string {
    return JSON.stringify([...this.#addresses])
  }
}

/**
 * The addresses in the DNS, or else those that the operating system finds, which knows search domains and /etc/hosts. With
 * addresses of both kinds those of IPv4 count: the others lead to the same gateways.
 */
async function addressesOf(host: string): Promise<string[]> {
  for (const resolve of [resolve4, resolve6]) {
    const found = await resolve(host).catch(() => [])
    if (found.length > 0) return found
  }
  const all = await lookup(host, { all: true })
  const ofIpv4 = all.filter(({ family }) => family === 4)
  return (ofIpv4.length > 0 ? ofIpv4 : all).map(({ address }) => address)
}
