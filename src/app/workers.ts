// Owns `--workers`: processes that share the listener, each a proxy with an outbox of its own, and the one that keeps them.
//
// A worker is to the ledger what a proxy is: its events are on its own disk queue before its clients know, with no other
// process to wait for, and several proxies on one store are exact already. The primary forwards nothing: it hands out
// connections, answers operators, and starts anew what dies; the new worker's first event closes the streams of the old.
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import type { Snapshot } from '../metrics/exposition.js'
import { reasonOf } from '../util/errors.js'
import { startInOrder } from '../util/startup.js'
import { startAround } from './app.js'
import type { LedgerHealth } from './ledger-health.js'
import type { App } from './process.js'
import { startInstance } from './proxy-instance.js'
import {
  type Answer,
  answerCall,
  type Call,
  Calls,
  type Methods,
  type Start,
  type WorkerControl
} from './rpc.js'

/** Set in the environment of a worker: which one it is, from 1 on. */
const NUMBER_VARIABLE = 'TURNSTILE_WORKER_NUMBER'
/** A worker that dies sooner than this after its start is not started anew at once. */
const SHORT_LIFE_MS = 5_000
const RESTART_DELAY_MS = 1_000
/** Longer than a worker waits for its store. */
const METRICS_TIMEOUT_MS = 2_000

const unreachable: LedgerHealth = {
  ready: false,
  outbox: { ok: false, depth: 0, oldestAt: null, sizeBytes: 0, lostEvents: 0 },
  store: { ok: false, failingSince: null }
}

/** Starts the primary and its workers. Throws as `startApp` does, whichever process it is that cannot start. */
export const startPrimary = (config: Config, logger: FastifyBaseLogger): Promise<App> =>
  startAround(config, logger, () =>
    startInOrder(async onClose => {
      const draining = new Set<string>()
      const slots = Array.from({ length: config.workers }, (_, i) => new Slot(i + 1, draining, logger))
      onClose(() => Promise.all(slots.map(slot => slot.close())))
      const [proxyUrl] = await Promise.all(slots.map(slot => slot.start()))
      return { proxyUrl: proxyUrl!, ...together(slots, draining) }
    })
  )

/** The workers as one. */
function together(slots: readonly Slot[], draining: Set<string>): Methods {
  return {
    health: async () =>
      total(await Promise.all(slots.map(slot => slot.calls.call('health').catch(() => unreachable)))),
    metrics: () => Promise.all(slots.map(slot => slot.metrics())),
    // Which of those that know its client ends the session is all the same to gateway and ledger; any may have streams of it.
    async end(session) {
      const known = await Promise.all(slots.map(slot => slot.calls.call('knows', session).catch(() => false)))
      const asked = known.includes(true) ? slots.filter((_, i) => known[i]) : slots
      const outcomes = await Promise.allSettled(asked.map(slot => slot.calls.call('end', session)))
      if (!outcomes.some(({ status }) => status === 'fulfilled'))
        throw (outcomes[0] as PromiseRejectedResult).reason
      await Promise.allSettled(slots.map(slot => slot.calls.call('cut', session)))
    },
    async settled() {
      await Promise.allSettled(slots.map(slot => slot.calls.call('settled')))
    },
    async drain(endpointId, on) {
      if (on) draining.add(endpointId)
      else draining.delete(endpointId)
      await Promise.allSettled(slots.map(slot => slot.calls.call('drain', endpointId, on)))
    },
    draining: () => draining
  }
}

/** The place of one worker. */
class Slot {
  readonly #number: number
  readonly #draining: ReadonlySet<string>
  readonly #logger: FastifyBaseLogger
  #worker: Worker | undefined
  /** To whichever process has the place. */
  readonly calls = new Calls<Methods & WorkerControl>(call => this.#send(call))
  #closing = false

  constructor(number: number, draining: ReadonlySet<string>, logger: FastifyBaseLogger) {
    this.#number = number
    this.#draining = draining
    this.#logger = logger
  }

  /** Resolves with where it listens. */
  async start(): Promise<string> {
    const worker = cluster.fork({ [NUMBER_VARIABLE]: String(this.#number) })
    const startedAt = Date.now()
    this.#worker = worker
    const outcome = await new Promise<Start>(resolve => {
      worker.on('message', (message: Start | Answer) => {
        if ('id' in message) this.calls.settle(message)
        else resolve(message)
      })
      worker.once('exit', () => {
        this.calls.end()
        resolve({ failed: 'a worker died at its start' })
      })
    })
    if ('failed' in outcome) throw new Error(outcome.failed)
    worker.once('exit', (code, signal) => this.#replace(startedAt, code, signal))
    for (const endpointId of this.#draining) await this.calls.call('drain', endpointId, true)
    return outcome.started
  }

  /** Undefined where it does not answer soon: a scrape does not wait for it. */
  async metrics(): Promise<Snapshot | undefined> {
    const asked = this.calls.call('metrics').then(
      ([snapshot]) => snapshot,
      () => undefined
    )
    return await Promise.race([asked, sleep(METRICS_TIMEOUT_MS, undefined, { ref: false })])
  }

  #send(call: Call): void {
    this.#worker?.send(call, error => {
      if (error) this.calls.settle({ id: call.id, refused: null, reason: error.message })
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    const worker = this.#worker
    if (worker?.isConnected() !== true) return
    const exited = once(worker, 'exit')
    worker.send('close', () => undefined)
    await exited
  }

  #replace(startedAt: number, code: number | null, signal: string | null): void {
    if (this.#closing) return
    this.#logger.error({ worker: this.#number, code, signal }, 'a worker died and is started anew')
    const delayMs = Date.now() - startedAt < SHORT_LIFE_MS ? RESTART_DELAY_MS : 0
    setTimeout(() => {
      if (this.#closing) return
      this.start().catch((error: unknown) => {
        this.#logger.error({ worker: this.#number, reason: String(error) }, 'a worker does not start')
        this.#replace(Date.now(), null, null)
      })
    }, delayMs)
  }
}

/** The reports of all workers as one. */
function total(reports: readonly LedgerHealth[]): LedgerHealth {
  const outboxes = reports.map(({ outbox }) => outbox)
  const sum = (of: (outbox: LedgerHealth['outbox']) => number): number =>
    outboxes.reduce((total, outbox) => total + of(outbox), 0)
  const earliest = (times: (string | null)[]): string | null =>
    times.filter(time => time !== null).sort()[0] ?? null
  return {
    ready: reports.every(({ ready }) => ready),
    outbox: {
      ok: outboxes.every(({ ok }) => ok),
      depth: sum(({ depth }) => depth),
      oldestAt: earliest(outboxes.map(({ oldestAt }) => oldestAt)),
      sizeBytes: sum(({ sizeBytes }) => sizeBytes),
      lostEvents: sum(({ lostEvents }) => lostEvents)
    },
    store: {
      ok: reports.every(({ store }) => store.ok),
      failingSince: earliest(reports.map(({ store }) => store.failingSince))
    }
  }
}

/** The life of a worker's process: it does what the primary says, and ends with it. */
export async function runWorker(config: Config, logger: FastifyBaseLogger): Promise<void> {
  const number = Number(process.env[NUMBER_VARIABLE])
  const log = logger.child({ worker: number })
  // Terminals and service managers signal every process of a group; when to end, the primary says.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined)
  const say = (message: Start | Answer): void => void process.send!(message, () => undefined)
  const started = startInstance(shareOf(config, number), log)
  process.on('message', (message: 'close' | Call) => {
    if (message === 'close')
      started
        // Why it did not start is said.
        .then(
          worker => worker.close(),
          () => undefined
        )
        .then(
          () => process.exit(0),
          (error: unknown) => {
            log.error(error, 'closing failed')
            process.exit(1)
          }
        )
    else started.then(instance => answerCall(message, instance)).then(say, () => undefined)
  })
  try {
    say({ started: (await started).proxyUrl })
  } catch (error) {
    say({ failed: reasonOf(error) })
    process.disconnect()
  }
}

/** The first worker keeps the data of a proxy without workers; each takes an equal part of the load. */
function shareOf(config: Config, number: number): Config {
  const share = (limit: number): number => Math.ceil(limit / config.workers)
  return {
    ...config,
    dataDir: number === 1 ? config.dataDir : join(config.dataDir, `worker-${number}`),
    maxConnections: share(config.maxConnections),
    maxStreams: share(config.maxStreams),
    maxRequests: share(config.maxRequests)
  }
}
