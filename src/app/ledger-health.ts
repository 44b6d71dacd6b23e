// Owns the report on whether what is observed reaches the disk and the store, of one proxy instance and of several.
import type { Readiness } from '../admin/schemas/readiness.js'
import type { StoreMaintenance } from '../ledger/pipeline/store-maintenance.js'
import type { EpochMs } from '../util/time.js'
import type { InstanceLedger } from './start-ledger.js'

/** Whether what is observed reaches the disk and the store, as `/readyz` tells it. */
export type LedgerHealth = Readiness

/** The report of an instance that does not respond. */
export const unreachable: LedgerHealth = {
  ready: false,
  outbox: { ok: false, depth: 0, oldestAt: null, sizeBytes: 0, lostEvents: 0 },
  store: { ok: false, failingSince: null }
}

/** The parts of an instance that know. */
export interface LedgerParts extends Pick<InstanceLedger, 'outbox' | 'outboxFile' | 'shipper' | 'recorder'> {
  maintenance: StoreMaintenance
}

/** Why the store cannot be written; without `since` where it was not yet registered at. Undefined: it can. */
function storeFailure({
  shipper,
  maintenance
}: Pick<LedgerParts, 'shipper' | 'maintenance'>): { since: EpochMs | undefined } | undefined {
  return shipper.failure ?? maintenance.failure ?? (shipper.isRegistered ? undefined : { since: undefined })
}

/** The report of one instance. */
export function ledgerHealth({
  outbox,
  outboxFile,
  shipper,
  recorder,
  maintenance
}: LedgerParts): LedgerHealth {
  const failure = storeFailure({ shipper, maintenance })
  const outboxOk = recorder.failure === undefined && !outboxFile.lost
  const storeOk = failure === undefined
  return {
    ready: outboxOk && storeOk,
    outbox: {
      ok: outboxOk,
      depth: outbox.depth + recorder.unwrittenEvents,
      oldestAt: isoTime(outbox.oldestAt),
      sizeBytes: outbox.sizeBytes,
      lostEvents: recorder.lostEvents
    },
    store: { ok: storeOk, failingSince: isoTime(failure?.since) }
  }
}

/** The reports of several instances as one: ready if all are, depths and sizes added up, the earliest times. */
export function totalHealth(reports: readonly LedgerHealth[]): LedgerHealth {
  const outboxes = reports.map(({ outbox }) => outbox)
  const sum = (of: (outbox: LedgerHealth['outbox']) => number): number =>
    outboxes.reduce((total, outbox) => total + of(outbox), 0)
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

const earliest = (times: (string | null)[]): string | null =>
  times.filter(time => time !== null).sort()[0] ?? null

const isoTime = (at: EpochMs | undefined): string | null =>
  at === undefined ? null : new Date(at).toISOString()
