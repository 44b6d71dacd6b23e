// Owns the report on whether what is observed reaches the disk and the store.
import type { Readiness } from '../admin/schemas/readiness.js'
import type { Outbox } from '../ledger/pipeline/outbox.js'
import type { Recorder } from '../ledger/pipeline/recorder.js'
import type { Shipper } from '../ledger/pipeline/shipper.js'

/** Whether what is observed reaches the disk and the store, as `/readyz` tells it. */
export type LedgerHealth = Readiness

export function ledgerHealth(outbox: Outbox, shipper: Shipper, recorder: Recorder): LedgerHealth {
  return {
    ready: recorder.failure === undefined && shipper.failure === undefined,
    outbox: {
      ok: recorder.failure === undefined,
      depth: outbox.depth,
      oldestAt: isoTime(outbox.oldestAt),
      sizeBytes: outbox.sizeBytes,
      lostEvents: recorder.lostEvents
    },
    store: { ok: shipper.failure === undefined, failingSince: isoTime(shipper.failure?.since) }
  }
}

export const isoTime = (at: number | undefined): string | null =>
  at === undefined ? null : new Date(at).toISOString()
