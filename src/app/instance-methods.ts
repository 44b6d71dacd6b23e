// Owns what threads and processes call in each other: what a proxy instance can be asked, and how a start is reported.
import type { Control } from '../admin/operator-port.js'
import type { UncountedPath } from '../admin/schemas/monitoring-responses.js'
import type { SessionIds } from '../mcp/stored-ids.js'
import type { Snapshot } from '../metrics/exposition.js'
import { TurnstileError } from '../util/errors.js'
import type { Closable } from '../util/startup.js'
import type { LedgerHealth } from './ledger-health.js'

/** Longer than an operator's action takes at most: a DELETE upstream has 5 s, the store 2 s to show it. */
export const CALL_TIMEOUT_MS = 15_000

/**
 * What the admin thread can call in a proxy instance, or in several that clients see as one. Arguments and results are plain
 * data, because they pass from thread to thread.
 */
export interface InstanceMethods extends Control {
  /** Whether what is observed reaches the disk and the store. */
  health(): LedgerHealth | Promise<LedgerHealth>
  /** Paths on which MCP passes that no setting counts. */
  uncounted(): UncountedPath[] | Promise<UncountedPath[]>
  /** One snapshot of each process, in the order of the workers; undefined for one that does not respond. */
  metrics(): Promise<(Snapshot | undefined)[]>
}

/** What the primary calls in the workers to carry out an action of an operator. */
export interface WorkerControl extends Control {
  /** Whether this worker can speak to the upstream as the session's client. */
  knows(session: SessionIds): boolean
  /** Cuts the streams of a session that ended. */
  cut(session: SessionIds): void
}

/** What the primary asks of each worker. */
export type WorkerMethods = InstanceMethods & WorkerControl

/** The proxy that an admin port serves: one instance, or several (`--workers`) that clients see as one. */
export interface Proxies extends Closable, InstanceMethods {
  /** Where clients connect. */
  readonly proxyUrl: string
  /** Other processes read their files again; this one does so by itself. */
  hangUp?(): void
}

/** What can be called in a thread or process by the one that started it. */
export interface Startable {
  /** Closes everything and ends the thread or process. */
  shutDown(): void | Promise<void>
}

/** How a thread or process reports its start, once, to the one that started it. */
export interface StartReport {
  /** It listens at this URL. */
  started(url: string): void
  /** It cannot start, for this reason. */
  failed(reason: string): void
}

/** A thread or process did not start. The message is the reason that it reported. */
export class StartError extends TurnstileError {
  readonly code = 'START_FAILED'
}

/** The report that a thread or process is started with, and the URL that it will name; rejects with `StartError`. */
export function startReport(): { report: StartReport; url: Promise<string> } {
  let report!: StartReport
  const url = new Promise<string>((resolve, reject) => {
    report = { started: resolve, failed: reason => reject(new StartError(reason)) }
  })
  return { report, url }
}
