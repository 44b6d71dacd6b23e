// Owns events end to end: real proxies, their consumers, a webhook, and the replay of `mcp-turnstile check --events`.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { EventsPage, SessionCloudEvent } from '../../src/admin/schemas/event-responses.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { jwt } from '../support/jwt.js'
import { freshDatabase, startDatabase } from '../support/mariadb.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'
import { inOrder, SECRET, WebhookReceiver } from '../support/webhook-receiver.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const IDLE_MS = 2_000

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())
const database = await startDatabase()
t.teardown(() => database.stop())

interface Fleet {
  proxies: Turnstile[]
  url: string
}

async function fleet(t: Test, names: readonly string[], flags: readonly string[] = []): Promise<Fleet> {
  const url = await freshDatabase(database.url)
  const directory = t.testdirName
  const proxies: Turnstile[] = []
  for (const name of names) {
    mkdirSync(join(directory, name), { recursive: true })
    const proxy = await Turnstile.start(gateway.url, join(directory, name), ['--store', url, ...flags])
    t.teardown(() => proxy.stop())
    proxies.push(proxy)
  }
  return { proxies, url }
}

async function send(
  proxy: Turnstile,
  endpoint: string,
  method: string,
  headers: Record<string, string>
): Promise<string> {
  const response = await fetch(`${proxy.proxyUrl}/stream/${endpoint}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(method === 'POST' && { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' })
  })
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id') ?? ''
}
const open = (proxy: Turnstile, endpoint: string, headers = {}): Promise<string> =>
  send(proxy, endpoint, 'POST', headers)
const of = (session: string): Record<string, string> => ({ 'mcp-session-id': session })

/** All events after a cursor, page by page. */
async function eventsOf(proxy: Turnstile, after?: string): Promise<SessionCloudEvent[]> {
  const all: SessionCloudEvent[] = []
  for (let cursor = after; ;) {
    const page = await proxy.query<EventsPage>(`/api/events?limit=3${cursor ? `&after=${cursor}` : ''}`)
    if (page.events.length === 0) return all
    all.push(...page.events)
    cursor = page.cursor
  }
}

/** The open sessions that events say. */
function replay(events: readonly SessionCloudEvent[]): string[] {
  const isOpen = new Set<string>()
  for (const { type, subject } of events) {
    if (type === 'mcp.session.closed') isOpen.delete(subject)
    else isOpen.add(subject)
  }
  return [...isOpen].sort()
}

/** Reads a stream of events until `enough`. */
async function streamed(
  proxy: Turnstile,
  lastEventId: string | undefined,
  enough: (events: SessionCloudEvent[]) => boolean
): Promise<{ events: SessionCloudEvent[]; lastEventId: string }> {
  const left = new AbortController()
  const response = await fetch(new URL('/api/events', proxy.adminUrl), {
    headers: { accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) },
    signal: left.signal
  })
  const events: SessionCloudEvent[] = []
  let id = lastEventId ?? ''
  let text = ''
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      id = lines.find(line => line.startsWith('id: '))?.slice(4) ?? id
      const data = lines.find(line => line.startsWith('data: '))?.slice(6)
      if (data !== undefined) events.push(JSON.parse(data) as SessionCloudEvent)
      if (!enough(events)) continue
      left.abort()
      return { events, lastEventId: id }
    }
  }
  throw new Error('the stream ended')
}

void t.test('two proxies tell the same events, and a consumer of one goes on at the other', async t => {
  const { proxies, url } = await fleet(t, ['a', 'b'], ['--session-idle-timeout', `${IDLE_MS}ms`])
  const [a, b] = proxies as [Turnstile, Turnstile]
  const principal = { authorization: `Bearer ${jwt({ iss: 'https://id.example', sub: 'ann' })}` }
  const waiting = b.query<EventsPage>('/api/events?wait=30s')
  const first = await open(a, 'e', principal)
  t.match((await waiting).events, [{ type: 'mcp.session.opened', subject: `e/${first}` }])
  const second = await open(b, 'f', principal)
  await send(a, 'f', 'DELETE', { ...of(second), ...principal })
  const taken = await streamed(a, undefined, events => events.length === 2)
  const isIdle = ({ subject, data }: SessionCloudEvent): boolean =>
    subject === `e/${first}` && data.reason === 'idle'
  const idled = await streamed(b, taken.lastEventId, events => events.some(isIdle))
  await send(b, 'e', 'POST', { ...of(first), ...principal })
  const isReopened = ({ type }: SessionCloudEvent): boolean => type === 'mcp.session.reopened'
  const rest = await streamed(a, idled.lastEventId, events => events.some(isReopened))
  for (const proxy of proxies) await proxy.shipped()
  const told = [...taken.events, ...idled.events, ...rest.events]
  const words = told.map(({ type, data }) => `${data.sessionId === first ? 'first' : 'second'} ${type}`)
  t.strictSame(words.sort(), [
    'first mcp.session.closed',
    'first mcp.session.opened',
    'first mcp.session.reopened',
    'second mcp.session.closed',
    'second mcp.session.opened'
  ])
  const all = await eventsOf(a)
  t.strictSame(
    told.map(({ id }) => id),
    all.slice(0, 5).map(({ id }) => id)
  )
  t.strictSame((await eventsOf(b)).slice(0, 5), all.slice(0, 5))
  t.match(all[0]!.data, { principal: 'https://id.example#ann', principalKind: 'oauth' })

  const path = `/api/mcp/principals?principal=${encodeURIComponent('https://id.example#ann')}`
  t.equal((await fetch(new URL(path, b.adminUrl), { method: 'DELETE' })).status, 200)
  for (const proxy of proxies) t.notMatch(JSON.stringify(await eventsOf(proxy)), 'ann')

  for (const proxy of proxies) t.equal(await proxy.stop(), 0)
  const check = spawnSync(process.execPath, [MAIN, 'check', '--events', '--store', url], { encoding: 'utf8' })
  t.equal(check.status, 0, check.stdout + check.stderr)
  t.match(check.stdout, /\d events since .* replayed: .* 0 differences/)
})

void t.test('events say what is open, whichever way sessions end, and cursors outlive a restart', async t => {
  const directory = t.testdir()
  let proxy = await Turnstile.start(gateway.url, directory, [])
  t.teardown(() => proxy.stop())
  const sessions: string[] = []
  for (let i = 0; i < 8; i++) sessions.push(await open(proxy, `e${i % 3}`))
  await send(proxy, 'e0', 'DELETE', of(sessions[0]!))
  gateway.sessions.delete(`e1 ${sessions[1]!}`)
  await send(proxy, 'e1', 'POST', of(sessions[1]!))
  await fetch(new URL(`/api/mcp/connections/${sessions[2]!}`, proxy.adminUrl), { method: 'DELETE' })
  const legacy = new AbortController()
  const stream = await fetch(`${proxy.proxyUrl}/e0/sse`, {
    headers: { accept: 'text/event-stream' },
    signal: legacy.signal
  })
  await stream.body!.getReader().read()
  legacy.abort()
  await sleep(500)
  await proxy.shipped()
  const rows = (await proxy.connections()).filter(row => row.reason === null)
  const expected = rows.map(row => `${row.endpoint_id}/${row.session_id}`).sort()
  const before = await eventsOf(proxy)
  t.strictSame(replay(before), expected)
  t.strictSame(
    new Set(before.flatMap(({ data }) => data.reason ?? [])),
    new Set(['delete', 'gone', 'killed', 'stream_end'])
  )
  const { cursor } = await proxy.query<EventsPage>('/api/events?after=now')
  await proxy.stop()
  proxy = await Turnstile.start(gateway.url, directory, [])
  const last = await open(proxy, 'e9')
  await proxy.shipped()
  t.match(await eventsOf(proxy, cursor), { 0: { subject: `e9/${last}` }, length: 1 })
  await proxy.stop()
  await sleep(1_000)
  proxy = await Turnstile.start(gateway.url, directory, ['--event-retention', '1s'])
  const status = async (after: string): Promise<number> =>
    (await fetch(new URL(`/api/events?after=${after}`, proxy.adminUrl))).status
  t.equal(await status(cursor), 410)
  t.equal(await status((await proxy.query<EventsPage>('/api/events?after=now')).cursor), 200)
  t.strictSame(await eventsOf(proxy), [])
})

void t.test(
  'when the proxy that delivers is killed, the other one goes on',
  { timeout: 120_000 },
  async t => {
    const receiver = await WebhookReceiver.start()
    t.teardown(() => receiver.stop())
    const secret = join(t.testdir({ 'webhook.secret': `${SECRET}\n` }), 'webhook.secret')
    const { proxies } = await fleet(
      t,
      ['p', 'q'],
      ['--webhook', receiver.url, '--webhook-secret-file', secret]
    )
    const [p, q] = proxies as [Turnstile, Turnstile]
    const active = async (proxy: Turnstile): Promise<number | undefined> =>
      (await Scrape.of(proxy.adminUrl)).value('turnstile_webhook_active')
    await open(p, 'e')
    await receiver.events(1)
    const [holder, other] = (await active(p)) === 1 ? [p, q] : [q, p]
    t.strictSame([await active(holder), await active(other)], [1, 0])
    await open(holder, 'e')
    await open(holder, 'f')
    await holder.shipped()
    await holder.kill()
    for (let i = 0; i < 5; i++) await open(other, i % 2 === 0 ? 'e' : 'f')
    await other.shipped()
    const told = await eventsOf(other)
    await receiver.events(told.length)
    t.strictSame(inOrder(receiver.accepted), inOrder(told))
    t.strictSame(receiver.forged, [])
    t.equal(await active(other), 1)
  }
)

void t.test('a webhook without a secret stops the start', t => {
  const directory = t.testdir({ short: 'whsec_c2hvcnQ=', plain: 'secret' })
  writeFileSync(join(directory, 'good'), SECRET)
  const start = (...flags: string[]): string =>
    spawnSync(process.execPath, [MAIN, '--upstream', gateway.url, '--data-dir', directory, ...flags], {
      encoding: 'utf8'
    }).stderr
  t.match(start('--webhook', 'http://127.0.0.1:9/?secret'), /--webhook-secret-file/)
  const withFile = (name: string): string[] => ['--webhook-secret-file', join(directory, name)]
  t.match(start('--webhook', 'http://127.0.0.1:9/', ...withFile('short')), /whsec_/)
  t.match(start('--webhook', 'http://127.0.0.1:9/', ...withFile('plain')), /whsec_/)
  const refused = start('--webhook', 'ftp://hidden', ...withFile('good'))
  t.match(refused, /--webhook cannot be used/)
  t.notMatch(refused, 'hidden')
  t.end()
})
