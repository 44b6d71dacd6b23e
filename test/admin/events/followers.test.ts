// Owns the limits of those who follow events: how many there are, what they cost the store, and who does not read.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { EventReader } from '../../../src/admin/events/event-reader.js'
import { streamEvents } from '../../../src/admin/events/event-stream.js'
import { BusyError } from '../../../src/admin/schemas/admin-errors.js'
import type { EventsPart, StoredEvent } from '../../../src/ledger/event-port.js'

const MAX_FOLLOWERS = 200
const log = { error: () => undefined, warn: () => undefined, info: () => undefined }
const NOBODY = new AbortController().signal

/** An event that never was. */
const event = (id: string): StoredEvent => ({
  ...{ id, kind: 'opened', endpointId: 'e', sessionId: id, transport: 2, connectAt: 0, disconnectAt: 0 },
  ...{ reason: null, requestCount: 1, notedAt: 0, session: undefined, position: id }
})

/** A store whose events come when the test says so. */
class FakeStore {
  end = '0'
  failing = false
  readonly asked = { events: 0, eventsEnd: 0 }

  events(): Promise<EventsPart> {
    this.asked.events++
    if (this.failing) return Promise.reject(new Error('away'))
    const events = this.end === '0' ? [] : [event(this.end)]
    return Promise.resolve({ events, start: '0', position: this.end, more: false })
  }

  eventsEnd(): Promise<string> {
    this.asked.eventsEnd++
    return this.failing ? Promise.reject(new Error('away')) : Promise.resolve(this.end)
  }
}

void t.test('very many wait, for one look of the store, and no more than that', async t => {
  const store = new FakeStore()
  const reader = new EventReader(store, 0, log)
  const waiting = Array.from({ length: MAX_FOLLOWERS }, () => reader.poll({ limit: 10 }, 60_000, NOBODY))
  await sleep(600)
  await t.rejects(reader.poll({ limit: 10 }, 60_000, NOBODY), { code: 'BUSY', statusCode: 503 })
  t.throws(() => reader.follow(), BusyError)
  t.match(await reader.poll({ limit: 10 }, 0, NOBODY), { events: [] }, 'who does not wait is answered')
  t.ok(store.asked.eventsEnd <= 4, `${store.asked.eventsEnd} looks`)
  const before = store.asked.events
  store.end = '1'
  const parts = await Promise.all(waiting)
  t.ok(parts.every(({ events }) => events[0]?.id === '1'))
  t.equal(store.asked.events - before, 1, 'those who ask the same share one query')
  const leave = reader.follow()
  leave()
})

void t.test('who leaves gives his place back, and nobody asks for nobody', async t => {
  const store = new FakeStore()
  const reader = new EventReader(store, 0, log)
  const left = new AbortController()
  const waiting = Array.from({ length: MAX_FOLLOWERS }, () => reader.poll({ limit: 1 }, 60_000, left.signal))
  await sleep(300)
  left.abort()
  await Promise.all(waiting)
  reader.follow()()
  await sleep(600)
  const { eventsEnd } = store.asked
  await sleep(600)
  t.equal(store.asked.eventsEnd, eventsEnd)
})

void t.test('who waits outlasts a store that is away', async t => {
  const store = new FakeStore()
  const reader = new EventReader(store, 0, log)
  const waiting = reader.poll({ limit: 1 }, 60_000, NOBODY)
  await sleep(100)
  store.failing = true
  await sleep(600)
  ;[store.failing, store.end] = [false, '1']
  t.match(await waiting, { events: [{ id: '1' }] })
})

void t.test('a client that does not read its stream is cut', { timeout: 30_000 }, async t => {
  let number = 0
  const endless = {
    events: (): Promise<EventsPart> => {
      const events = Array.from({ length: 200 }, () => event(`${++number}`))
      return Promise.resolve({ events, start: '0', position: `${number}`, more: true })
    },
    eventsEnd: () => Promise.resolve('end')
  }
  const reader = new EventReader(endless, 0, log)
  const app = Fastify()
  const view = (event: StoredEvent): object => ({ ...event, filler: 'x'.repeat(500) })
  const ended = new Promise<void>(resolve => {
    app.get('/', async (_request, reply) => {
      await streamEvents(reply, { reader, asked: {}, view, gone: NOBODY, stalledMs: 300 })
      resolve()
      return reply
    })
  })
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  await ended
  const told = number
  await sleep(300)
  t.equal(number, told, 'nothing more is read for it')
  socket.resume()
  await once(socket, 'close')
})
