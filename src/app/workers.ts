// Owns `--workers`: processes that share the listener, each a proxy instance with an outbox of its own. Operators see them as one.
//
// To the ledger, a worker is an instance like any other: its events are in its own outbox before its clients know of them, it
// waits for no other process, and several instances on one store are exact already. The primary forwards nothing: it hands out
// connections, serves operators, and restarts workers that die; a new worker's first event closes the streams of the old one.
import cluster from 'node:cluster'
import type { UncountedPath } from '../admin/schemas/monitoring-responses.js'
import type { Config } from '../config/settings.js'
import { startInOrder } from '../util/startup.js'
import { type App, startAround } from './app.js'
import type { InstanceMethods } from './instance-methods.js'
import { totalHealth, unreachable } from './ledger-health.js'
import { maskKey } from './mask-key.js'
import type { ProcessLog } from './process-log.js'
import { WorkerSlot } from './worker-slot.js'

/** Starts the primary and its workers. Throws as `startApp` does, whichever process it is that cannot start. */
export const startPrimary = (config: Config, log: ProcessLog): Promise<App> =>
  startAround(config, log, () =>
    startInOrder(async onClose => {
      // A worker logs through the primary: lines of several processes would mix, and each could make their pipe wait.
      cluster.setupPrimary({ stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
      const draining = new Set<string>()
      const slots = Array.from({ length: config.workers }, (_, i) => new WorkerSlot(i + 1, draining, log))
      onClose(() => Promise.all(slots.map(slot => slot.close())))
      // All workers mask with the same key.
      if (config.accessLog !== 'off' || config.otlp?.traces !== undefined) maskKey(config.dataDir)
      const [proxyUrl] = await Promise.all(slots.map(slot => slot.start()))
      const hangUp = (): void => slots.forEach(slot => slot.hangUp())
      return { proxyUrl: proxyUrl!, hangUp, ...together(slots, draining) }
    })
  )

/** The methods of an instance, carried out by all workers together. */
function together(slots: readonly WorkerSlot[], draining: Set<string>): InstanceMethods {
  return {
    async health() {
      return totalHealth(
        await Promise.all(slots.map(({ worker }) => worker.health().catch(() => unreachable)))
      )
    },
    metrics: () => Promise.all(slots.map(slot => slot.metrics())),
    async uncounted() {
      return addedUp(await Promise.all(slots.map(({ worker }) => worker.uncounted().catch(() => []))))
    },
    // Any worker that knows the session's client can end it, and any worker may hold streams of it.
    async end(session) {
      const known = await Promise.all(slots.map(({ worker }) => worker.knows(session).catch(() => false)))
      const asked = known.includes(true) ? slots.filter((_, i) => known[i]) : slots
      const outcomes = await Promise.allSettled(asked.map(({ worker }) => worker.end(session)))
      if (!outcomes.some(({ status }) => status === 'fulfilled'))
        throw (outcomes[0] as PromiseRejectedResult).reason
      await Promise.allSettled(slots.map(({ worker }) => worker.cut(session)))
    },
    async settled() {
      await Promise.allSettled(slots.map(({ worker }) => worker.settled()))
    },
    // The store is the same for all.
    deleteEndpoint: endpointId => slots[0]!.worker.deleteEndpoint(endpointId),
    async drain(endpointId, on) {
      if (on) draining.add(endpointId)
      else draining.delete(endpointId)
      await Promise.allSettled(slots.map(({ worker }) => worker.drain(endpointId, on)))
    },
    draining: () => draining,
    // The store tells the other workers.
    drainUpstream: (name, on) => slots[0]!.worker.drainUpstream(name, on),
    erasePrincipal: principal => slots[0]!.worker.erasePrincipal(principal),
    async reportUpstreams() {
      await Promise.allSettled(slots.map(({ worker }) => worker.reportUpstreams()))
    }
  }
}

/** What several workers say of the same path, as one. */
function addedUp(lists: readonly UncountedPath[][]): UncountedPath[] {
  const paths = new Map<string, UncountedPath>()
  for (const { path, advice, requests } of lists.flat()) {
    const known = paths.get(`${path} ${advice}`)
    paths.set(`${path} ${advice}`, { path, advice, requests: requests + (known?.requests ?? 0) })
  }
  return [...paths.values()]
}
