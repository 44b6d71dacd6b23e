// Owns the application of outbox batches, each entry exactly once: a batch is applied and its outbox offset committed in one
// transaction, so a batch that is sent again is recognised.
import { OTHER_ENDPOINT, type SessionIds, sessionKey, type StoredId } from '../../../mcp/stored-ids.js'
import type { CloseEvent, LedgerEvent, OpenEvent, UseEvent } from '../../../sessions/events.js'
import type { EpochMs } from '../../../util/time.js'
import { mergeClose, mergeOutcome, mergeProof, presumeClosed, type SessionRecord } from '../../model/merge.js'
import type { Applied, InstanceIdentity, LedgerRules, OutboxEntry } from '../../store-port.js'
import type { Sql } from '../sql-database.js'
import { addEarlyClose, loadEarlyCloses, noteEarlyCloses } from './early-closes.js'
import { withinLimit } from './endpoint-limit.js'
import { appliedOffset, moveAppliedOffset } from './instances.js'
import { openStreams } from './presumed-ends.js'
import { withNames } from './principal-names.js'
import { changeSessions, type Ledger, type SessionChange } from './session-change.js'
import { addToolUses } from './tool-rows.js'
import { Visits } from './visit-rows.js'

/** `StoreWriter.apply`. Throws `NotRegisteredError`, `OffsetMovedError`. */
export async function apply(
  ledger: Ledger,
  instance: InstanceIdentity,
  entries: readonly OutboxEntry[],
  now: EpochMs
): Promise<Applied> {
  return await changeSessions(ledger, now, async (sql, change) => {
    const applied = await appliedOffset(sql, instance.id)
    const fresh = entries.filter(entry => entry.offset > applied)
    const last = fresh.at(-1)
    if (!last) return { othersSessions: 0, shared: [] }
    const placed = await withinLimit(sql, fresh, ledger.rules.maxEndpoints ?? 0, now)
    await applyFresh(sql, change, ledger.rules, instance.id, await withNames(sql, placed), now)
    await moveAppliedOffset(sql, instance.id, applied, last.offset, now)
    const isNewOther = ({ id, endpointId }: SessionRecord): boolean =>
      id === undefined && endpointId === OTHER_ENDPOINT
    const othersSessions = placed === fresh ? 0 : Array.from(change.records()).filter(isNewOther).length
    return { othersSessions, shared: change.newlyShared() }
  })
}

async function applyFresh(
  sql: Sql,
  change: SessionChange,
  rules: LedgerRules,
  instanceId: string,
  entries: readonly OutboxEntry[],
  now: EpochMs
): Promise<void> {
  const events = entries.map(entry => entry.event).filter(event => event.type !== 'restart')
  const present = events.filter(event => event.type === 'visit')
  const toolUses = events.filter(event => event.type === 'tool')
  const sessions = events.filter(event => event.type !== 'visit' && event.type !== 'tool')
  const proofs = sessions.filter(isProof).filter(event => !isOfKnown(event))
  const restarted = entries.some(entry => entry.event.type === 'restart')
  const streams = restarted ? await openStreams(sql, instanceId) : []

  // A visit may have begun at the endpoint of those that found no room.
  const mayBeOther = present.length > 0 ? [OTHER_ENDPOINT] : []
  const opening = [...proofs, ...present, ...toolUses].map(endpointOf)
  await change.lock([...[...events, ...streams].map(endpointOf), ...mayBeOther], opening)
  const visits = await Visits.load(sql, present, rules)
  await change.load([...sessions, ...proofs.flatMap(replacedBy), ...streams, ...visits.known()])
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
    if (event.type === 'tool') continue
    if (event.type === 'visit') {
      visits.apply(event, { id: instanceId, boot }, change)
      continue
    }
    const known = change.get(sessionKey(event))
    if (event.type === 'close') {
      if (known) change.put(mergeClose(known, event, rules))
      else {
        addEarlyClose(early, event)
        tooEarly.push(event)
      }
      continue
    }
    if (event.type === 'outcome') {
      if (known) change.put(mergeOutcome(known, event))
      continue
    }
    if (!known && isOfKnown(event)) continue
    const ends = known ? [] : (early.get(sessionKey(event)) ?? [])
    const replaced = replacedBy(event).map(session => change.get(sessionKey(session)))
    const proved = mergeProof(known, event, { id: instanceId, boot }, rules, replaced[0])
    change.put(ends.reduce((record, end) => mergeClose(record, end, rules), proved))
  }
  await visits.save(change)
  await addToolUses(sql, toolUses)
  await noteEarlyCloses(sql, tooEarly, now)
}

/** The session in whose place the upstream opened another one. */
const replacedBy = (proof: OpenEvent | UseEvent): SessionIds[] =>
  proof.type === 'open' && proof.replaces !== undefined
    ? [{ endpointId: proof.endpointId, sessionId: proof.replaces }]
    : []

const isProof = (event: LedgerEvent): event is OpenEvent | UseEvent =>
  event.type === 'open' || event.type === 'use'

const isOfKnown = (event: LedgerEvent): boolean => event.type === 'use' && event.ofKnown === true

const endpointOf = (session: Pick<SessionIds, 'endpointId'>): StoredId => session.endpointId
