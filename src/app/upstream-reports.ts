// Owns what this instance tells the others of its gateways, once a second, and learns from them: which are drained.
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceIdentity, Store, UpstreamReport } from '../ledger/store-port.js'
import type { Upstream } from '../proxy/balancing/upstream.js'
import type { Upstreams } from '../proxy/balancing/upstreams.js'
import type { Closable } from '../util/startup.js'
import { epochNow, HOUR_MS, type MonotonicMs, monotonicNow, SECOND_MS } from '../util/time.js'

/** How often. Chosen: all proxies are to follow an operator within 2 s. */
const INTERVAL_MS = SECOND_MS
/**
 * How often the number of requests to the only gateway is told, unless somebody asks this proxy: they say nothing that an
 * operator waits for. Chosen.
 */
const SOLE_INTERVAL_MS = 10 * SECOND_MS
/** At least so often everything is told: the store forgets reports that are a day old. Chosen. */
const MAX_INTERVAL_MS = HOUR_MS
/** At the start, a store that says nothing is waited for no longer. Chosen. */
const START_TIMEOUT_MS = SECOND_MS

/** What `startUpstreamReports` needs. */
export interface UpstreamReportsOptions {
  store: Pick<Store, 'reportUpstreams' | 'upstreams' | 'upstreamOrders'>
  instance: InstanceIdentity
  upstreams: Upstreams
}

/** Reports until it is closed. What the store has already is not written again. */
export class UpstreamReports implements Closable {
  readonly #options: UpstreamReportsOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  /** The report under way. */
  #reporting: Promise<void> = Promise.resolve()
  /** The next one, once it is asked for. */
  #next: Promise<void> | undefined
  #isAsked = false
  #isRestored = false
  /** What was told last, and of that the part that does not change with each request. */
  #told = ''
  #toldState = ''
  #toldAt: MonotonicMs = -Infinity

  constructor(options: UpstreamReportsOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Reports now, and so follows what an operator just did. Rejects where the store cannot be read or written. */
  report(): Promise<void> {
    this.#isAsked = true
    return this.#inTurn()
  }

  /** A report under way is finished. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await this.#reporting
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      // The shipper reports a store that fails.
      await this.#inTurn().catch(() => undefined)
      await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  #inTurn(): Promise<void> {
    return (this.#next ??= this.#reporting.then(() => {
      this.#next = undefined
      const reporting = this.#report()
      this.#reporting = reporting.catch(() => undefined)
      return reporting
    }))
  }

  async #report(): Promise<void> {
    const { store, instance, upstreams } = this.#options
    const isAsked = this.#isAsked
    this.#isAsked = false
    if (!this.#isRestored) await this.#restore()
    const { drained, reported } = await store.upstreamOrders({ instanceId: instance.id })
    upstreams.setDraining(drained)
    const reports = [...Array.from(upstreams.all, reportOf), ...unknownDrains(upstreams)]
    const [all, state] = [JSON.stringify(reports), JSON.stringify(reports.map(stateOf))]
    const sinceMs = monotonicNow() - this.#toldAt
    const isExact = isAsked || upstreams.only === undefined || sinceMs > SOLE_INTERVAL_MS
    const isKnown =
      (isExact ? all === this.#told : state === this.#toldState) &&
      sinceMs < MAX_INTERVAL_MS &&
      isSame(reported, reports)
    if (isKnown) return
    await store.reportUpstreams(instance, reports, epochNow())
    this.#told = all
    this.#toldState = state
    this.#toldAt = monotonicNow()
  }

  /** A gateway that left the list while this proxy was down has sessions left. */
  async #restore(): Promise<void> {
    const { store, upstreams } = this.#options
    for (const { name, url, connectNum } of await store.upstreams())
      if (connectNum > 0 && url !== '' && upstreams.get(name) === undefined)
        upstreams.restore({ name, url: new URL(url) })
    this.#isRestored = true
  }
}

/** Resolves once this instance knows which gateways are drained, or the store does not tell it soon. */
export async function startUpstreamReports(options: UpstreamReportsOptions): Promise<UpstreamReports> {
  const reports = new UpstreamReports(options)
  const begun = reports.report().catch(() => undefined)
  await Promise.race([begun, sleep(START_TIMEOUT_MS, undefined, { ref: false })])
  return reports
}

const reportOf = (upstream: Upstream): UpstreamReport => ({
  name: upstream.name,
  url: upstream.url.href,
  isListed: upstream.isListed,
  isDraining: upstream.isDraining,
  sessions: upstream.openSessions,
  requests: upstream.underWay - upstream.streams,
  streams: upstream.streams,
  failingSince: upstream.failingSince ?? null
})

/** What of a report does not change with each request. */
const stateOf = ({ name, url, isListed, isDraining, failingSince }: UpstreamReport) => ({
  ...{ name, url, isListed, isDraining, failingSince }
})

const isSame = (names: readonly string[], reports: readonly UpstreamReport[]): boolean =>
  names.length === reports.length && reports.every(({ name }) => names.includes(name))

/** A proxy that does not have a drained gateway has nothing there, and says so. */
const unknownDrains = (upstreams: Upstreams): UpstreamReport[] =>
  [...upstreams.draining]
    .filter(name => upstreams.get(name) === undefined)
    .map(name => ({
      ...{ name, url: '', isListed: false, isDraining: true, sessions: 0, requests: 0, streams: 0 },
      failingSince: null
    }))
