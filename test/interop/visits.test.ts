// Owns the truth about clients and servers that this project did not write: every client visits every server directly and
// through the proxy, gets the same, and what is recorded is what the servers themselves count. Prints the table of docs/clients.md.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { Turnstile } from '../support/turnstile.js'
import { type ClientKind, clientKinds, type Report, type Visit } from './clients.js'
import { ClosingTable } from './closing-table.js'
import { type RecordedSession, HttpRecorder } from './http-recorder.js'
import { IDLE_S, type Server, type ServerKind, serverKinds, type TransportName } from './servers.js'
import { SessionObserver } from './session-observer.js'

const PAGE = new URL('../../../docs/clients.md', import.meta.url)

const table = new ClosingTable(IDLE_S)

for (const kind of serverKinds) {
  void t.test(`clients get the same from ${kind.name} and through us`, { timeout: 240_000 }, async t => {
    const directories = t.testdir({ server: {}, turnstile: {} })
    const server = await kind.start(`${directories}/server`)
    t.teardown(() => server.stop())
    const turnstile = await Turnstile.start(server.url, `${directories}/turnstile`, [
      ...kind.flags,
      '--session-idle-timeout',
      `${IDLE_S}s`
    ])
    t.teardown(() => turnstile.stop())
    const [direct, through] = [
      await HttpRecorder.start(server.url),
      await HttpRecorder.start(turnstile.proxyUrl)
    ]
    t.teardown(() => Promise.all([direct.stop(), through.stop()]))
    const observer = new SessionObserver(turnstile)
    t.teardown(() => observer.stop())

    const endpoints: string[] = []
    const visits: { client: ClientKind; transport: TransportName; sessions: RecordedSession[] }[] = []
    for (const client of clientKinds) {
      for (const transport of client.transports) {
        if (!comesTo(kind, client, transport)) continue
        const endpointId = `c${endpoints.length}`
        endpoints.push(endpointId)
        const before = through.sessions.length
        await t.test(`${client.name}, ${transport}`, async t =>
          visitBoth(t, { kind, client, transport, endpointId, server, direct, through, observer })
        )
        visits.push({ client, transport, sessions: through.sessions.slice(before) })
      }
    }

    t.ok(await observer.until(() => observer.rows.every(row => row.reason !== null)), 'all sessions end')
    t.ok(await observer.until(async () => (await turnstile.count()) === 0), 'session-less clients idle, too')
    t.strictSame(
      Object.fromEntries(observer.rows.map(row => [row.session_id, row.reason])),
      Object.fromEntries(through.sessions.map(session => [session.sessionId, session.ended?.by ?? 'idle'])),
      'every session that a client was told of is recorded with how it ended, and no other'
    )
    for (const endpointId of endpoints) {
      if (!server.live) break
      await observer.until(async () => (await server.live!(endpointId)).length === 0)
      t.strictSame(await server.live(endpointId), [], 'the server has none either')
    }
    for (const { client, transport, sessions } of visits) {
      for (const session of sessions) {
        table.add(client.name, transport, session, observer.closedSeenAt(session.sessionId)!)
      }
    }
  })
}

void t.test('the table in docs/clients.md is what was measured', t => {
  t.comment(`what clients do when they close:\n${table.lines().join('\n')}`)
  const page = readFileSync(PAGE, 'utf8')
  const withoutTimes = (line: string): string => line.split('|').slice(0, 5).join('|')
  const inPage = page.split('\n').map(withoutTimes)
  for (const line of table.lines())
    t.ok(inPage.includes(withoutTimes(line)), `docs/clients.md has ${withoutTimes(line)}`)
  t.end()
})

const comesTo = (kind: ServerKind, client: ClientKind, transport: TransportName): boolean =>
  kind.transports.includes(transport) &&
  (kind.visitors?.test(client.name) ?? true) &&
  !client.cannot?.(kind.name, transport)

interface Stage {
  kind: ServerKind
  client: ClientKind
  transport: TransportName
  endpointId: string
  server: Server
  direct: HttpRecorder
  through: HttpRecorder
  observer: SessionObserver
}

/** One client, directly and through the proxy, with the same result; while both are there, the counts are compared. */
async function visitBoth(t: Test, stage: Stage): Promise<void> {
  const { kind, client, transport, endpointId, server, direct, through, observer } = stage
  const visit = (recorder: HttpRecorder, id: string, home: string): Promise<Visit> =>
    client.visit({ ...kind.tools, transport, url: recorder.url + kind.path(transport, id) }, home)
  const [directBefore, throughBefore] = [direct.sessions.length, through.sessions.length]
  const homes = t.testdir({ direct: {}, through: {} })
  const [one, other] = await Promise.all([
    visit(direct, `${endpointId}-direct`, `${homes}/direct`),
    visit(through, endpointId, `${homes}/through`)
  ])
  const [got, wanted] = [sorted(other.report), sorted(one.report)]
  t.strictSame(got, wanted, 'the same result')
  t.match(wanted.echo, /hello/, 'the answer of the tool')
  if (wanted.progress) t.strictSame(wanted.progress, [1, 2, 3], 'its progress')
  if (server.live) {
    let live: string[] = []
    await observer.until(async () => {
      live = (await server.live!(endpointId)).sort()
      return observer.openIds(endpointId).sort().join() === live.join()
    })
    t.strictSame(observer.openIds(endpointId).sort(), live, 'the open sessions are those of the server')
  }
  await Promise.all([one.leave(), other.leave()])
  const told = (recorder: HttpRecorder, before: number): number => recorder.sessions.length - before
  t.equal(told(through, throughBefore), told(direct, directBefore), 'as many sessions')
}

/** rmcp's servers list their tools in any order, its client hands progress on in any order. */
function sorted({ tools, progress, ...report }: Report): Report {
  return { ...report, tools: tools.toSorted(), ...(progress && { progress: progress.toSorted() }) }
}
