// Owns the look-ups for messages of legacy sessions whose stream another process holds: the store says where they belong.
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreReader } from '../ledger/store-port.js'
import type { SessionEvent } from '../sessions/events.js'
import type { SessionTracker } from '../sessions/tracker.js'
import { LOOK_UP_BATCH } from '../sessions/unplaced-messages.js'
import type { Closable } from '../util/startup.js'
import { epochNow, SECOND_MS } from '../util/time.js'

/** How often to look for such messages. Chosen: their client's name shows within a moment. */
const INTERVAL_MS = 200

/** A store that says nothing is waited for no longer at the end. */
const CLOSE_TIMEOUT_MS = SECOND_MS

/** What `startMessagePlacement` needs. */
export interface MessagePlacementOptions {
  tracker: Pick<SessionTracker, 'unplaced' | 'place'>
  store: Pick<StoreReader, 'legacySessions'>
  record: (events: readonly SessionEvent[]) => void
}

/** Places messages while the store can be read. `close` tries for a second to place all. */
export function startMessagePlacement({ tracker, store, record }: MessagePlacementOptions): Closable {
  let placing: Promise<void> | undefined
  const place = async (): Promise<void> => {
    try {
      for (;;) {
        const due = tracker.unplaced.due(epochNow())
        if (due.length === 0) return
        record(tracker.place(due, await store.legacySessions(due), epochNow()))
        if (due.length < LOOK_UP_BATCH) return
      }
    } catch {
      // A store that fails is the shipper's to report.
    }
  }
  /** Places what the store knows by now; what it does not know waits in the outbox for the next start. */
  const placeKnown = async (): Promise<void> => {
    const known = await store.legacySessions(tracker.unplaced.due(Infinity, Infinity))
    record(tracker.place([...new Set(known.map(({ sessionId }) => sessionId))], known, epochNow()))
  }
  const placeOnce = (): Promise<void> => (placing ??= place().finally(() => (placing = undefined)))
  const timer = setInterval(() => {
    if (tracker.unplaced.size > 0) void placeOnce()
  }, INTERVAL_MS)
  return {
    async close() {
      clearInterval(timer)
      let isOver = false
      const placeAll = async (): Promise<void> => {
        await placing
        while (tracker.unplaced.size > 0 && !isOver) {
          await placeKnown()
          if (tracker.unplaced.size > 0) await sleep(INTERVAL_MS)
        }
      }
      const placed = placeAll().catch(() => undefined)
      await Promise.race([placed, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
      isOver = true
    }
  }
}
