// Owns the tests of deliveries to a webhook: every event, in order for each endpoint, by one proxy at a time, signed.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Mask } from '../../../src/admin/access/mask.js'
import { toCloudEvent } from '../../../src/admin/events/cloud-event.js'
import type { SessionCloudEvent } from '../../../src/admin/schemas/event-responses.js'
import { startWebhookDelivery, type WebhookDelivery } from '../../../src/admin/webhooks/webhook-delivery.js'
import { embeddedStore } from '../../../src/ledger/sqlite/sqlite-store.js'
import type { Store } from '../../../src/ledger/store-port.js'
import type { CloseEvent, OpenEvent } from '../../../src/sessions/events.js'
import { Sender } from '../../support/contracts/store-tests.js'
import { Random } from '../../support/random.js'
import { inOrder, SECRET, WebhookReceiver } from '../../support/webhook-receiver.js'

const DAY = 24 * 3_600_000
const AT = Date.now() - 60_000
const NO_MASK = new Mask(Buffer.from('key'), false)
const log = { error: () => undefined, warn: () => undefined, info: () => undefined }

const open = (endpointId: string, sessionId: string): OpenEvent => ({
  ...{ type: 'open', endpointId, sessionId, transport: 2, at: AT, clientAddress: '192.0.2.17', requests: 1 },
  ...{ held: false, userAgent: 'client/1', principal: { kind: 'header', name: 'ann' } }
})
const close = (endpointId: string, sessionId: string): CloseEvent => ({
  ...{ type: 'close', endpointId, sessionId, at: AT + 2_500, reason: 'delete' }
})

interface Rig {
  store: Store
  sender: Sender
  receiver: WebhookReceiver
  deliver: (options?: { mask?: Mask; keptMs?: number }) => WebhookDelivery
  events: () => Promise<SessionCloudEvent[]>
}

async function start(t: Test, shippedAt = Date.now()): Promise<Rig> {
  const store = embeddedStore(join(t.testdir(), 'ledger.db'), { idleTimeoutMs: 0 })
  t.teardown(() => store.close())
  await store.migrate()
  const receiver = await WebhookReceiver.start()
  t.teardown(() => receiver.stop())
  return {
    store,
    sender: await new Sender(store, shippedAt).start(),
    receiver,
    deliver({ mask = NO_MASK, keptMs = DAY } = {}) {
      const target = { url: receiver.url, secret: SECRET }
      const delivery = startWebhookDelivery({ target, store, keptMs, mask, log })
      t.teardown(() => delivery.close())
      return delivery
    },
    async events() {
      const part = await store.events({ keptMs: 0, limit: 10_000 })
      return typeof part === 'string' ? [] : part.events.map(event => toCloudEvent(event, NO_MASK))
    }
  }
}

const valueOf = (delivery: WebhookDelivery, name: string): number =>
  delivery.metrics().find(metric => metric.name === `turnstile_webhook_${name}`)!.values[0]!.value

/** Resolves once these have the response to so many events: the receiver has an event before. */
async function delivered(deliveries: readonly WebhookDelivery[], count: number): Promise<void> {
  const sum = (): number =>
    deliveries.reduce((sum, delivery) => sum + valueOf(delivery, 'delivered_total'), 0)
  while (sum() < count) await sleep(10)
}

void t.test(
  'a receiver that fails half of its calls gets all events, in order for each endpoint',
  async t => {
    const random = new Random()
    t.comment(`seed ${random.seed}`)
    const { sender, receiver, deliver, events } = await start(t)
    receiver.answer = () =>
      random.chance(0.5) ? random.pick([500, 404, 302, 429]) : random.pick([200, 202, 204])
    const deliveries = [deliver(), deliver()]
    for (let i = 0; i < 20; i++) {
      const endpointId = `e${i % 10}`
      await sender.send(open(endpointId, `s${i}`), close(endpointId, `s${i}`))
    }
    await receiver.events(40)
    const told = await events()
    t.strictSame(inOrder(receiver.accepted), inOrder(told))
    t.strictSame(receiver.forged, [])
    const bodies = new Map(told.map(event => [event.id, JSON.stringify(event)]))
    for (const { event, headers, body } of receiver.requests) {
      if (body !== bodies.get(event.id)) t.equal(body, bodies.get(event.id))
      if (headers['webhook-id'] !== event.id) t.equal(headers['webhook-id'], event.id)
    }
    t.match(receiver.requests[0]!.headers, { 'content-type': 'application/cloudevents+json; charset=utf-8' })
    t.equal(receiver.accepted.length, 40, 'each was accepted once')
    const sums = (name: string): number =>
      deliveries.reduce((sum, delivery) => sum + valueOf(delivery, name), 0)
    await delivered(deliveries, 40)
    t.equal(sums('delivered_total'), 40)
    t.equal(sums('failures_total'), receiver.requests.length - 40)
    t.equal(sums('active'), 1, 'one of the two delivers')
    t.equal(sums('lag_seconds'), 0)
  }
)

void t.test('an endpoint whose events fail holds up no other one', async t => {
  const { sender, receiver, deliver } = await start(t)
  receiver.answer = ({ data }) => (data.endpointId === 'bad' ? 500 : 204)
  const delivery = deliver()
  for (let i = 0; i < 50; i++) await sender.send(open('bad', `b${i}`), open('good', `g${i}`))
  await receiver.events(50)
  await delivered([delivery], 50)
  t.strictSame(Object.keys(inOrder(receiver.accepted)), ['good'])
  t.equal(valueOf(delivery, 'delivered_total'), 50)
  t.ok(valueOf(delivery, 'lag_seconds') > 0)
  t.strictSame(
    new Set(
      receiver.requests.flatMap(({ event }) => (event.data.endpointId === 'bad' ? [event.subject] : []))
    ),
    new Set(['bad/b0'])
  )
  receiver.answer = () => 204
  await receiver.events(100)
})

void t.test('the next proxy goes on where the one before stopped', async t => {
  const { sender, receiver, deliver, events } = await start(t)
  const first = deliver()
  await sender.send(open('e', 'a'), open('e', 'b'))
  await receiver.events(2)
  await delivered([first], 2)
  await first.close()
  await sender.send(open('e', 'c'))
  deliver()
  await receiver.events(3)
  t.strictSame(
    receiver.accepted.map(({ id }) => id),
    (await events()).map(({ id }) => id)
  )
})

void t.test('a name that is erased while an event waits is not sent, and --mask holds here too', async t => {
  const { store, sender, receiver, deliver } = await start(t)
  receiver.answer = () => 503
  const delivery = deliver()
  await sender.send(open('e', 'a'))
  while (receiver.requests.length === 0) await sleep(20)
  t.match(receiver.requests[0]!.event.data, { principal: 'ann', sessionId: 'a' })
  await store.erasePrincipal('ann', Date.now())
  await sleep(2_500)
  receiver.answer = () => 204
  await receiver.events(1)
  t.match(receiver.accepted[0]!.data.principal, /^erased-/)
  await delivery.close()
  deliver({ mask: new Mask(Buffer.from('key'), true) })
  await sender.send(open('e', 'session-0123456789'))
  await receiver.events(2)
  t.notMatch(receiver.requests.at(-1)!.body, /0123456789|192\.0\.2\.17|"ann"/)
})

void t.test('what is not kept any more is given up, and the rest goes on', async t => {
  const { store, sender, receiver, deliver } = await start(t)
  receiver.answer = ({ data }) => (data.sessionId === 'a' ? 500 : 204)
  const delivery = deliver({ keptMs: 3_000 })
  await sender.send(open('e', 'a'), open('f', 'b'))
  await receiver.events(1)
  const late = await new Sender(store, Date.now() + 60_000).start()
  await late.send(open('e', 'c'))
  await receiver.events(2)
  t.match(receiver.accepted, [{ subject: 'f/b' }, { subject: 'e/c' }])
  t.equal(valueOf(delivery, 'dropped_total'), 1)
})
