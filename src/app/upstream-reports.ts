// Owns what this instance tells the others of its gateways, once a second, and learns from them: which are drained.
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceIdentity, Store, UpstreamReport } from '../ledger/store-port.js'
import type { Upstream } from '../proxy/balancing/upstream.js'
import type { Upstreams } from '../proxy/balancing/upstreams.js'
import type { Closable } from '../util/startup.js'
import { epochNow, SECOND_MS } from '../util/time.js'

/** How often. Chosen: all proxies are to follow an operator within 2 s. */
const INTERVAL_MS = SECOND_MS
/** At the start, a store that says nothing is waited for no longer. Chosen. */
const START_TIMEOUT_MS = SECOND_MS

/** What `startUpstreamReports` needs. */
export interface UpstreamReportsOptions {
  store: Pick<Store, 'reportUpstreams' | 'upstreams'>
  instance: InstanceIdentity
  upstreams: Upstreams
}

/** Reports until it is closed. */
export interface UpstreamReports extends Closable {
  /** Reports now, and so follows what an operator just did. Rejects where the store cannot be written. */
  report(): Promise<void>
}

/** Resolves once this instance knows which gateways are drained, or the store does not tell it soon. */
export async function startUpstreamReports({
  store,
  instance,
  upstreams
}: UpstreamReportsOptions): Promise<UpstreamReports> {
  const closing = new AbortController()
  const { signal } = closing
  const report = async (): Promise<void> => {
    const reports = [...Array.from(upstreams.all, reportOf), ...unknownDrains(upstreams)]
    upstreams.setDraining(await store.reportUpstreams(instance, reports, epochNow()))
  }
  const begin = async (): Promise<void> => {
    // A gateway that left the list while this proxy was down has sessions left.
    for (const { name, url, connectNum } of await store.upstreams())
      if (connectNum > 0 && upstreams.get(name) === undefined) upstreams.restore({ name, url: new URL(url) })
    await report()
  }
  const run = async (begun: Promise<void>): Promise<void> => {
    // The shipper reports a store that fails.
    await begun.catch(() => undefined)
    for (;;) {
      await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      await report().catch(() => undefined)
    }
  }
  const begun = begin()
  const running = run(begun)
  await Promise.race([begun.catch(() => undefined), sleep(START_TIMEOUT_MS, undefined, { ref: false })])
  return {
    report,
    async close() {
      closing.abort()
      await running
    }
  }
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

/** A proxy that does not have a drained gateway has nothing there, and says so. */
const unknownDrains = (upstreams: Upstreams): UpstreamReport[] =>
  [...upstreams.draining]
    .filter(name => upstreams.get(name) === undefined)
    .map(name => ({
      ...{ name, url: '', isListed: false, isDraining: true, sessions: 0, requests: 0, streams: 0 },
      failingSince: null
    }))
