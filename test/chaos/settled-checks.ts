// Owns the checks at rest: the ledger against the gateway's own sessions, and against what clients were told.
import { setTimeout as sleep } from 'node:timers/promises'
import { keyOf, type ExpectedSessions, type ExpectedSession, SSE, STREAMABLE } from './expected-sessions.js'
import { LEASE_MS, type Member } from './fleet.js'
import type { Gateways } from './gateways.js'
import { peopleAtRest } from './people.js'
import type { Reader, SessionRow } from './reader.js'

/** In which the gateway hears of the end of its streams. */
const STREAMS_END_MS = 5_000
/** Longer than messages of legacy sessions wait for the next look-up of their session, after the longest fault. */
const SETTLE_TIMEOUT_MS = 40_000
/** Each process tells the wall clock by its own monotonic one, in whole milliseconds. */
const CLOCKS_DIFFER_MS = 1
const TOUCH_TIMEOUT_MS = 5_000
/** Of the specification of this proxy (issue 17). */
const GONE_WITHIN_MS = 10_000

export interface Rest {
  violations: string[]
  rows: number
  open: number
  /** Live in the gateway, without a row, and no client knows of them. */
  neverTold: string[]
  /** Open rows whose DELETE was never answered, closed once they were touched. */
  touched: string[]
}

export async function checkAtRest(
  fleet: readonly Member[],
  gateways: Gateways,
  reader: Reader,
  expected: ExpectedSessions
): Promise<Rest> {
  const violations: string[] = []
  if (!(await drained(fleet))) violations.push('the outboxes are not drained')
  // What a lost lease may still do wrong, it does by now.
  await sleep(LEASE_MS + 2_500)
  const touched = await touchUnheard(fleet, gateways, reader, expected)
  const { rows, live } = await settled(gateways, reader, expected)
  const { openNotLive, liveNotOpen, neverTold } = compare(rows, live, expected)
  violations.push(
    ...openNotLive.map(row => `open, but the gateway does not know it: ${JSON.stringify(row)}`),
    ...liveNotOpen.map(([key, row]) => `live, but not open: ${key} ${JSON.stringify(row)}`),
    ...checkRows(rows, expected, gateways),
    ...checkStreams(live, expected),
    ...checkNeverTold(neverTold, expected)
  )
  for (const member of fleet) {
    violations.push(...(await peopleAtRest(member)))
    const { outbox } = await member.health()
    if (outbox.lostEvents > 0) violations.push(`${member.name} lost ${outbox.lostEvents} events`)
  }
  await reader.checkAll()
  return {
    violations,
    rows: rows.length,
    open: rows.filter(({ reason }) => reason === null).length,
    neverTold,
    touched
  }
}

/** Restarts a gateway while nothing else is wrong: its sessions, and no others, are found gone in time. */
export async function checkRestart(gateways: Gateways, reader: Reader): Promise<string[]> {
  const [gateway] = gateways.all
  const before = await gateways.live()
  await gateway!.restart(500)
  await sleep(GONE_WITHIN_MS)
  const rows = new Map((await reader.rows()).map(row => [keyOf(row), row]))
  return [...before].flatMap(([key, name]) => {
    const row = rows.get(key)
    if (name === gateway!.name && row?.reason === null)
      return [`open ${GONE_WITHIN_MS} ms after its gateway was restarted: ${JSON.stringify(row)}`]
    return []
  })
}

/** Ends all proxies in order: with them their streams end, in the gateway and in the ledger. */
export async function checkStop(
  fleet: readonly Member[],
  gateways: Gateways,
  reader: Reader
): Promise<string[]> {
  const violations: string[] = []
  for (const member of fleet) {
    const code = await member.stop()
    if (code !== 0) violations.push(`${member.name} ended with ${code}`)
  }
  const deadline = Date.now() + STREAMS_END_MS
  let streams: string[]
  do {
    await sleep(100)
    streams = [...(await gateways.live()).keys()].filter(key => key.includes(' sse '))
  } while (streams.length > 0 && Date.now() < deadline)
  violations.push(...streams.map(key => `outlives its proxy in the gateway: ${key}`))
  const open = (await reader.rows()).filter(row => row.transport === SSE && row.reason === null)
  violations.push(...open.map(row => `outlives its proxy in the ledger: ${JSON.stringify(row)}`))
  await reader.checkAll()
  return violations
}

async function drained(fleet: readonly Member[]): Promise<boolean> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS
  while (Date.now() < deadline) {
    const reports = await Promise.all(fleet.map(member => member.health()))
    if (reports.every(({ ready, outbox }) => ready && outbox.depth === 0)) return true
    await sleep(100)
  }
  return false
}

/** Compares until nothing differs, or it takes too long: what is on its way arrives. */
async function settled(
  gateways: Gateways,
  reader: Reader,
  expected: ExpectedSessions
): Promise<{ rows: SessionRow[]; live: ReadonlyMap<string, string> }> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS
  for (;;) {
    const rows = await reader.rows()
    const live = await gateways.live()
    const { openNotLive, liveNotOpen } = compare(rows, live, expected)
    const wrong = openNotLive.length + liveNotOpen.length + checkRows(rows, expected, gateways).length
    if (wrong === 0 || Date.now() > deadline) return { rows, live }
    await sleep(250)
  }
}

function compare(rows: readonly SessionRow[], live: ReadonlyMap<string, string>, expected: ExpectedSessions) {
  const byKey = new Map(rows.map(row => [keyOf(row), row]))
  const openNotLive = rows.filter(row => row.reason === null && !live.has(keyOf(row)))
  const neverTold: string[] = []
  const liveNotOpen: [string, SessionRow | undefined][] = []
  for (const key of live.keys()) {
    const row = byKey.get(key)
    if (row?.reason === null) continue
    if (!row && key.includes(' streamable ') && !expected.sessions.has(key)) neverTold.push(key)
    else liveNotOpen.push([key, row])
  }
  return { openNotLive, liveNotOpen, neverTold }
}

/**
 * Asks once for each session that is open in the ledger only because nobody could tell: the answer to its DELETE never came
 * through, or its gateway was restarted while the proxy that saw it last was not there.
 */
async function touchUnheard(
  fleet: readonly Member[],
  gateways: Gateways,
  reader: Reader,
  expected: ExpectedSessions
): Promise<string[]> {
  const { openNotLive } = compare(await reader.rows(), await gateways.live(), expected)
  const unanswered = openNotLive
    .filter(row => row.transport === STREAMABLE)
    .map(row => ({ row, session: expected.sessions.get(keyOf(row)) }))
    .filter(
      ({ row, session }) =>
        gateways.restartedSince(row.connectAt, row.upstream) ||
        (session?.deleteSentAt !== undefined && session.deletedAt === undefined)
    )
    .map(({ row }) => row)
  for (const [i, session] of unanswered.entries()) {
    const response = await fetch(`${fleet[i % fleet.length]!.url}/stream/${session.endpointId}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': session.sessionId
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      signal: AbortSignal.timeout(TOUCH_TIMEOUT_MS)
    })
    await response.arrayBuffer()
    if (response.status !== 401 && response.status !== 404)
      expected.violations.push(`touched: ${response.status} for ${keyOf(session)}`)
  }
  return unanswered.map(keyOf)
}

/** Each session that a client was told is one row, with times and requests between what its client knows. */
function checkRows(rows: readonly SessionRow[], expected: ExpectedSessions, gateways: Gateways): string[] {
  const violations: string[] = []
  const byKey = new Map(rows.map(row => [keyOf(row), row]))
  if (byKey.size !== rows.length) violations.push(`${rows.length} rows of ${byKey.size} sessions`)
  for (const session of expected.sessions.values()) {
    const row = byKey.get(session.key)
    const problem = row ? problemOf(row, session, gateways) : 'no row'
    if (problem === undefined) continue
    const { accepted, ...known } = session
    const answers = accepted.map(({ by, at }) => `${by.name} ${at}`).join(', ')
    violations.push(`${problem}: ${JSON.stringify(row)} of ${JSON.stringify(known)}, accepted: ${answers}`)
  }
  return violations
}

function problemOf(row: SessionRow, session: ExpectedSession, gateways: Gateways): string | undefined {
  const { openSentAt, toldAt, deleteSentAt, deletedAt, sent, surelyAccounted } = session
  if (row.connectAt < openSentAt - CLOCKS_DIFFER_MS || row.connectAt > toldAt + CLOCKS_DIFFER_MS)
    return 'connect_at is wrong'
  if (row.requestCount > sent) return `more requests than the ${sent} sent`
  if (row.requestCount < surelyAccounted) return `fewer requests than the ${surelyAccounted} accounted`
  if (row.principal !== session.principal) return `not of ${session.principal}`
  if (row.conversation !== session.conversation) return `not in ${session.conversation}`
  const mayBeGone = gateways.restartedSince(openSentAt, row.upstream)
  if (row.reason === 'gone' && deleteSentAt === undefined && !mayBeGone)
    return 'gone, though its gateway was not restarted'
  if (mayBeGone && row.reason === 'gone') return undefined
  if (deletedAt === undefined || deleteSentAt === undefined) return undefined
  if (row.reason === null) return 'deleted, but open'
  const { disconnectAt } = row
  if (disconnectAt < deleteSentAt - CLOCKS_DIFFER_MS || disconnectAt > deletedAt + CLOCKS_DIFFER_MS)
    return 'disconnect_at is wrong'
  return undefined
}

/** The legacy streams of the gateway are those that clients still read. */
function checkStreams(live: ReadonlyMap<string, string>, expected: ExpectedSessions): string[] {
  const read = [...expected.sessions.values()].filter(({ streaming }) => streaming).map(({ key }) => key)
  const known = new Set(read)
  const unread = [...live.keys()].filter(key => key.includes(' sse ') && !known.has(key))
  return [
    ...read
      .filter(key => !live.has(key))
      .map(key => `read by its client, but unknown to the gateway: ${key}`),
    ...unread.map(key => `live in the gateway without a client: ${key}`)
  ]
}

/** Each session that no client was told has an `initialize` that was not answered. */
function checkNeverTold(neverTold: readonly string[], expected: ExpectedSessions): string[] {
  const counts = new Map<string, number>()
  for (const key of neverTold) {
    const endpointId = key.split(' ', 1)[0]!
    counts.set(endpointId, (counts.get(endpointId) ?? 0) + 1)
  }
  return [...counts]
    .filter(([endpointId, count]) => count > (expected.openingsUnanswered.get(endpointId) ?? 0))
    .map(
      ([endpointId, count]) => `${count} sessions without a row on ${endpointId}, more than were not answered`
    )
}
