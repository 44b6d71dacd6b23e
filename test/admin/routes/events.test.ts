// Owns the tests of /api/events: pages, waiting, streams, who may ask, and what is refused.
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import t, { type Test } from 'tap'
import { Mask } from '../../../src/admin/access/mask.js'
import type { EventsPage, SessionCloudEvent } from '../../../src/admin/schemas/event-responses.js'
import { embeddedStore } from '../../../src/ledger/sqlite/sqlite-store.js'
import type { Store } from '../../../src/ledger/store-port.js'
import type { CloseEvent, OpenEvent, UseEvent } from '../../../src/sessions/events.js'
import { type Query, startAdmin, type TestAdmin, urlOf } from '../../support/admin-under-test.js'
import { Sender } from '../../support/contracts/store-tests.js'

const EVENTS = '/api/events'
const MINUTE = 60_000
const AT = Date.now() - 10 * MINUTE

const open = (endpointId: string, sessionId: string): OpenEvent => ({
  ...{ type: 'open', endpointId, sessionId, transport: 2, at: AT, clientAddress: '192.0.2.17', requests: 1 },
  ...{ held: false, userAgent: 'client/1', principal: { kind: 'header', name: 'ann' } }
})
const use = (endpointId: string, sessionId: string): UseEvent => ({
  ...{ type: 'use', endpointId, sessionId, transport: 2, at: AT + 2 * MINUTE, requests: 1 }
})
const close = (endpointId: string, sessionId: string): CloseEvent => ({
  ...{ type: 'close', endpointId, sessionId, at: AT + 2_500, reason: 'delete' }
})

interface Rig extends TestAdmin {
  store: Store
  sender: Sender
  page: (query?: Query) => Promise<EventsPage>
}

async function start(
  t: Test,
  options: Parameters<typeof startAdmin>[1] = {},
  shippedAt = Date.now()
): Promise<Rig> {
  const store = embeddedStore(join(t.testdir(), 'ledger.db'), { idleTimeoutMs: MINUTE })
  t.teardown(() => store.close())
  await store.migrate()
  const sender = await new Sender(store, shippedAt).start()
  const admin = startAdmin(t, { store, ...options })
  return { ...admin, store, sender, page: query => admin.ask<EventsPage>(EVENTS, query) }
}

const inWords = (events: readonly SessionCloudEvent[]): string[] =>
  events.map(({ type, subject }) => `${subject} ${type}`)

void t.test('events are CloudEvents, as the sessions were', async t => {
  const { store, sender, page, get } = await start(t)
  t.strictSame(await page(), { events: [], cursor: '0-0' })
  await sender.send(open('files', 'a'))
  await store.closeIdle(AT + MINUTE)
  await sender.send(use('files', 'a'))
  await sender.send(open('files', 'b'), close('files', 'b'))
  const { events, cursor } = await page()
  const who = {
    ...{
      upstream: null,
      clientIP: '192.0.2.17',
      userAgent: 'client/1',
      clientName: null,
      clientVersion: null
    },
    ...{
      protocolVersion: null,
      principal: 'ann',
      principalKind: 'header',
      oauthClient: null,
      conversation: null
    }
  }
  const at = (ms: number): string => new Date(ms).toISOString()
  t.strictSame(events[1], {
    specversion: '1.0',
    id: events[1]!.id,
    source: '/mcp-turnstile',
    type: 'mcp.session.closed',
    subject: 'files/a',
    time: at(AT + MINUTE),
    datacontenttype: 'application/json',
    data: {
      ...{ endpointId: 'files', sessionId: 'a', transport: 'streamable', connectedAt: at(AT) },
      ...{ disconnectedAt: at(AT + MINUTE), duration: MINUTE, reason: 'idle', requestCount: 1 },
      ...who
    }
  })
  const isOpen = { disconnectedAt: null, duration: null, reason: null }
  t.match(events, [
    { type: 'mcp.session.opened', time: at(AT), data: { ...isOpen, requestCount: 1 } },
    {},
    { type: 'mcp.session.reopened', data: { ...isOpen, requestCount: 2, connectedAt: at(AT) } },
    { subject: 'files/b', type: 'mcp.session.opened', data: isOpen },
    { subject: 'files/b', type: 'mcp.session.closed', data: { duration: 2_500, reason: 'delete' } }
  ])
  t.equal(new Set(events.map(({ id }) => id)).size, 5)
  t.strictSame(await page({ after: cursor }), { events: [], cursor })
  t.strictSame(await page({ after: 'now' }), { events: [], cursor })
  const first = await page({ limit: 2 })
  t.strictSame(first.events, events.slice(0, 2))
  t.strictSame((await page({ after: first.cursor })).events, events.slice(2))
  t.match(await get(EVENTS), { headers: { 'content-type': /^application\/json/, vary: /accept/i } })
})

void t.test('events are narrowed to an endpoint and to types', async t => {
  const { sender, page } = await start(t)
  for (const endpointId of ['e', 'f']) await sender.send(open(endpointId, 'a'), close(endpointId, 'a'))
  t.strictSame(inWords((await page({ endpointId: 'f' })).events), [
    ...['f/a mcp.session.opened', 'f/a mcp.session.closed']
  ])
  const types = 'mcp.session.closed,mcp.session.reopened'
  t.strictSame(inWords((await page({ types })).events), ['e/a mcp.session.closed', 'f/a mcp.session.closed'])
  const { cursor } = await page()
  t.strictSame(await page({ endpointId: 'no such' }), { events: [], cursor })
  t.strictSame(await page({ endpointId: 'not\u0001storable' }), { events: [], cursor })
})

void t.test('with --mask no event tells an id, an address or a name', async t => {
  const { sender, get, page } = await start(t, { mask: new Mask(Buffer.from('key'), true) })
  await sender.send(open('files', 'session-0123456789'))
  t.notMatch((await get(EVENTS)).body, /0123456789|192\.0\.2\.17|"ann"/)
  const [event] = (await page()).events
  t.match(event, { data: { clientIP: '192.0.2.0', principal: /^masked-/, sessionId: /^session-/ } })
  t.equal(event!.subject, `files/${event!.data.sessionId}`)
})

void t.test('what cannot be used is refused, and a place that expired is gone', async t => {
  const { get, page } = await start(t)
  for (const [query, message] of [
    [{ after: 'x y' }, /cursor/],
    [{ after: '12' }, /cursor/],
    [{ after: '' }, /^after .*cursor/],
    [{ wait: '30' }, /^wait .*30s/],
    [{ wait: '61s' }, /^wait .*60s/],
    [{ types: 'opened' }, /^types .*mcp\.session\.opened/],
    [{ limit: '0' }, /^limit/],
    [{ cursor: 'x' }, /^unknown parameter cursor/]
  ] as const) {
    const response = await get(EVENTS, query)
    t.equal(response.statusCode, 400, JSON.stringify(query))
    t.match(response.json<{ message: string }>().message, message)
  }
  t.match((await get(EVENTS, { after: '5-another' })).json(), { statusCode: 410, error: 'Gone' })
  t.equal((await page({ after: '0-another' })).cursor, '0-0')
})

void t.test('events older than --event-retention are not told', async t => {
  const { get, page, sender } = await start(t, { eventRetentionMs: MINUTE }, Date.now() - 2 * MINUTE)
  await sender.send(open('e', 'a'))
  const { events, cursor } = await page()
  t.strictSame(events, [])
  t.match((await get(EVENTS, { after: '0-0' })).json(), { statusCode: 410, message: /--event-retention/ })
  t.strictSame(await page({ after: cursor }), { events, cursor })
})

void t.test('who waits is told at once, or nothing in the end', async t => {
  const { page, sender } = await start(t)
  const { cursor } = await page()
  const since = performance.now()
  t.strictSame(await page({ after: cursor, wait: '300ms' }), { events: [], cursor })
  t.ok(performance.now() - since >= 299)
  const waiting = Promise.all([
    page({ after: cursor, wait: '60s' }),
    page({ after: cursor, wait: '60s', endpointId: 'f' }),
    page({ wait: '1m' })
  ])
  await sender.send(open('e', 'a'))
  await sender.send(open('f', 'a'))
  const [all, ofF, kept] = await waiting
  t.match(inWords(all.events)[0], 'e/a mcp.session.opened')
  t.strictSame(inWords(ofF.events), ['f/a mcp.session.opened'])
  t.match(inWords(kept.events)[0], 'e/a mcp.session.opened')
})

/** A stream that a client reads. */
class Stream {
  readonly response: IncomingMessage
  readonly #messages: EventSourceMessage[] = []
  readonly #parser = createParser({ onEvent: message => this.#messages.push(message) })

  constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8').on('data', (text: string) => this.#parser.feed(text))
  }

  /** The next messages. */
  async next(count: number): Promise<EventSourceMessage[]> {
    while (this.#messages.length < count) await once(this.response, 'data')
    return this.#messages.splice(0, count)
  }
}

async function listen(
  t: Test,
  { app }: TestAdmin
): Promise<(query?: Query, headers?: object) => Promise<Stream>> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return async (query = {}, headers = {}) => {
    const options = { port, path: urlOf(EVENTS, query), headers: { accept: 'text/event-stream', ...headers } }
    const request = get({ host: '127.0.0.1', ...options })
    t.teardown(() => request.destroy())
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return new Stream(response)
  }
}

const eventOf = ({ data }: EventSourceMessage): SessionCloudEvent => JSON.parse(data) as SessionCloudEvent

void t.test('a stream tells the same events as they come, and goes on after Last-Event-ID', async t => {
  const rig = await start(t)
  const stream = await listen(t, rig)
  await rig.sender.send(open('e', 'a'))
  const one = await stream()
  t.match(one.response.headers, { 'content-type': 'text/event-stream', 'x-content-type-options': 'nosniff' })
  const [first] = await one.next(1)
  await rig.sender.send(close('e', 'a'), open('f', 'a'))
  const rest = await one.next(2)
  const { events, cursor } = await rig.page()
  t.strictSame([first!, ...rest].map(eventOf), events)
  t.equal(rest[1]!.id, cursor)

  const again = await stream({ after: 'now' }, { 'last-event-id': first!.id })
  t.strictSame((await again.next(2)).map(eventOf), events.slice(1), 'a reconnect goes before the query')
  const ofF = await stream({ endpointId: 'f', types: 'mcp.session.closed' })
  const fresh = await stream({ after: 'now' })
  await rig.sender.send(close('f', 'a'))
  t.match((await ofF.next(1)).map(eventOf), [{ subject: 'f/a', type: 'mcp.session.closed' }])
  t.match((await fresh.next(1)).map(eventOf), [{ subject: 'f/a', type: 'mcp.session.closed' }])

  const expired = await stream({}, { 'last-event-id': '7-another' })
  t.equal(expired.response.statusCode, 410)
  t.equal((await stream({}, { 'last-event-id': '<script>' })).response.statusCode, 400)
  t.equal((await rig.app.inject({ method: 'HEAD', url: EVENTS })).statusCode, 200)
  const head = { method: 'HEAD', url: EVENTS, headers: { accept: 'text/event-stream' } } as const
  t.match(await rig.app.inject(head), { statusCode: 200, headers: { 'content-type': 'text/event-stream' } })

  const ended = once(fresh.response, 'end')
  await rig.app.close()
  await ended
})

void t.test('a token must allow to read', async t => {
  const tokens = [
    { secret: 'reader', scope: 'read' as const },
    { secret: 'meter', scope: 'metrics' as const }
  ]
  const { app } = await start(t, { tokens })
  const status = async (token?: string): Promise<number> =>
    (await app.inject({ url: EVENTS, headers: token ? { authorization: `Bearer ${token}` } : {} })).statusCode
  t.equal(await status(), 401)
  t.equal(await status('meter'), 403)
  t.equal(await status('reader'), 200)
})
