// Owns the application of outbox batches: each entry exactly once, all of a batch in one transaction.
import { sessionKey } from '../../../mcp/stored-ids.js'
import type { CloseEvent } from '../../../sessions/events.js'
import { mergeClose, mergeProof, presumeClosed } from '../../model/merge.js'
import type { InstanceIdentity, OutboxEntry } from '../../store-port.js'
import type { Database, Dialect, Sql } from '../sql-database.js'
import { addEarlyClose, loadEarlyCloses, noteEarlyCloses } from './early-closes.js'
import { lockAppliedSeq, setAppliedSeq } from './instances.js'
import { openStreams } from './presumed-ends.js'
import { SessionChange } from './session-change.js'
import { Visits } from './visit-rows.js'

export async function apply(
  db: Database,
  instance: InstanceIdentity,
  entries: readonly OutboxEntry[],
  now: number,
  idleTimeoutMs = 0
): Promise<void> {
  await db.write(async sql => {
    const applied = await lockAppliedSeq(sql, db.dialect, instance.id)
    const fresh = entries.filter(entry => entry.seq > applied)
    const last = fresh.at(-1)
    if (!last) return
    await applyFresh(sql, db.dialect, instance.id, fresh, now, idleTimeoutMs)
    await setAppliedSeq(sql, db.dialect, instance.id, last.seq, now)
  })
}

async function applyFresh(
  sql: Sql,
  dialect: Dialect,
  instanceId: string,
  entries: readonly OutboxEntry[],
  now: number,
  idleTimeoutMs: number
): Promise<void> {
  const events = entries.map(entry => entry.event).filter(event => event.type !== 'restart')
  const present = events.filter(event => event.type === 'visit')
  const sessions = events.filter(event => event.type !== 'visit')
  const proofs = sessions.filter(event => event.type !== 'close')
  const restarted = entries.some(entry => entry.event.type === 'restart')
  const streams = restarted ? await openStreams(sql, instanceId) : []

  const change = new SessionChange(sql, dialect, now)
  await change.lock([...events, ...streams].map(endpointOf), [...proofs, ...present].map(endpointOf))
  const visits = await Visits.load(sql, dialect, present, idleTimeoutMs)
  await change.load([...sessions, ...streams, ...visits.known()])
  const unseen = proofs.filter(event => !change.get(sessionKey(event)))
  const early = await loadEarlyCloses(sql, [...new Set(unseen.map(event => event.sessionId))])
  const tooEarly: CloseEvent[] = []

  for (const { event, boot } of entries) {
    if (event.type === 'restart') {
      for (const record of change.records()) {
        const held = record.holder === instanceId && record.holderBoot !== null && record.holderBoot < boot
        if (held) change.put(presumeClosed(record, event.at, 'lost'))
      }
      continue
    }
    if (event.type === 'visit') {
      visits.apply(event, { id: instanceId, boot }, change)
      continue
    }
    const known = change.get(sessionKey(event))
    if (event.type === 'close') {
      if (known) change.put(mergeClose(known, event, idleTimeoutMs))
      else {
        addEarlyClose(early, event)
        tooEarly.push(event)
      }
      continue
    }
    const ends = known ? [] : (early.get(sessionKey(event)) ?? [])
    const proved = mergeProof(known, event, { id: instanceId, boot }, idleTimeoutMs)
    change.put(ends.reduce((record, end) => mergeClose(record, end, idleTimeoutMs), proved))
  }
  await visits.save(change)
  await noteEarlyCloses(sql, dialect, tooEarly, now)
  await change.save()
}

const endpointOf = (session: { endpointId: string }): string => session.endpointId
