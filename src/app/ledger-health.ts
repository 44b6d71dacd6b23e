// Owns the report on whether what is observed reaches the disk and the store.
import type { Outbox } from '../ledger/pipeline/outbox.js'
import type { Recorder } from '../ledger/pipeline/recorder.js'
import type { Shipper } from '../ledger/pipeline/shipper.js'

/** Whether what is observed reaches the disk and the store. */
export interface LedgerHealth {
  ready: boolean
  outbox: { ok: boolean; depth: number; oldestAt: string | null; sizeBytes: number; lostEvents: number }
  store: { ok: boolean; failingSince: string | null }
  /** The process ends: clients are to go elsewhere. */
  closing?: boolean
}

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
