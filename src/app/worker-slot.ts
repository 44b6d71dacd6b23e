// Owns the slot of one worker: starts its process, calls it, and starts another process when it dies.
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Snapshot } from '../metrics/exposition.js'
import { reasonOf } from '../util/errors.js'
import { copyLines } from '../util/log-lines.js'
import { connect, ipcChannel, type Remote, RemoteError } from '../util/rpc.js'
import { monotonicNow, type MonotonicMs } from '../util/time.js'
import { cutWhatIsNotTaken } from './handed-connections.js'
import { CALL_TIMEOUT_MS, type Startable, startReport, type WorkerMethods } from './instance-methods.js'
import type { ProcessLog } from './process-log.js'
import { WORKER_NUMBER_VARIABLE } from './worker-process.js'

/** A worker that dies so soon after its start is replaced after a delay, because its next start may fail too. Both chosen. */
const SHORT_LIFE_MS = 5_000
const RESTART_DELAY_MS = 1_000
/** How long a scrape waits for a worker: twice as long as the worker waits for its store (proxy-instance-metrics.ts). */
const METRICS_TIMEOUT_MS = 2_000

/** One of the `--workers`, whichever process it is at the moment. */
export class WorkerSlot {
  readonly #number: number
  readonly #draining: ReadonlySet<string>
  readonly #log: ProcessLog
  #worker: Worker | undefined
  #remote: Remote<WorkerMethods & Startable> | undefined
  #starting: Promise<string> | undefined
  #isListening = false
  #closing = false

  /** `number`: from 1 on. `draining`: the endpoints that a new worker is to drain from its start. */
  constructor(number: number, draining: ReadonlySet<string>, log: ProcessLog) {
    this.#number = number
    this.#draining = draining
    this.#log = log
  }

  /** The methods of the process in this slot. They reject when it is gone, until the next one has started. */
  get worker(): Remote<WorkerMethods> {
    return this.#remote!
  }

  /** Resolves with the URL at which it listens; throws `StartError`. */
  start(): Promise<string> {
    return (this.#starting = this.#start())
  }

  async #start(): Promise<string> {
    this.#isListening = false
    const worker = cluster.fork({ [WORKER_NUMBER_VARIABLE]: String(this.#number) })
    copyLines(worker.process.stdout!, this.#log.stdout)
    copyLines(worker.process.stderr!, this.#log.stderr)
    cutWhatIsNotTaken(worker)
    const startedAt = monotonicNow()
    const { report, url } = startReport()
    const remote = connect<WorkerMethods & Startable>(ipcChannel(worker), report, {
      timeoutMs: CALL_TIMEOUT_MS
    })
    worker.once('exit', () => {
      remote.$close(new RemoteError('CLOSED', 'the worker ended'))
      report.failed('a worker died at its start')
    })
    this.#worker = worker
    const listening = await url
    // What was sent before the process listens would be lost: Node's cluster takes messages from its first moment on.
    this.#remote = remote
    this.#isListening = true
    worker.once('exit', (code, signal) => this.#replace(startedAt, code, signal))
    for (const endpointId of this.#draining) await remote.drain(endpointId, true)
    return listening
  }

  /** The metrics of the worker; undefined if it does not respond in time. */
  async metrics(): Promise<Snapshot | undefined> {
    const asked = this.worker.metrics().then(
      ([snapshot]) => snapshot,
      () => undefined
    )
    return await Promise.race([asked, sleep(METRICS_TIMEOUT_MS, undefined, { ref: false })])
  }

  /** Has its process read its files again; one that does not listen yet would end by the signal, and reads them at its start. */
  hangUp(): void {
    if (this.#isListening) this.#worker?.process.kill('SIGHUP')
  }

  /** Ends the process, and resolves when it has ended and its last lines are read. */
  async close(): Promise<void> {
    this.#closing = true
    await this.#starting?.catch(() => undefined)
    const worker = this.#worker
    if (worker?.isConnected() !== true) return
    const exited = once(worker.process, 'close')
    void this.#remote?.shutDown.asEvent().catch(() => undefined)
    await exited
  }

  #replace(startedAt: MonotonicMs, code: number | null, signal: string | null): void {
    if (this.#closing) return
    this.#log.logger.error({ worker: this.#number, code, signal }, 'a worker died and is started again')
    const delayMs = monotonicNow() - startedAt < SHORT_LIFE_MS ? RESTART_DELAY_MS : 0
    setTimeout(() => {
      if (this.#closing) return
      this.start().catch((error: unknown) => {
        this.#log.logger.error({ worker: this.#number, reason: reasonOf(error) }, 'a worker does not start')
        this.#replace(monotonicNow(), null, null)
      })
    }, delayMs)
  }
}
