// Owns finding the gateway of a session that a proxy does not know: in the ledger, or by asking the gateways.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { NamedSession } from '../../../src/proxy/balancing/balancer.js'
import { type Says, SessionLocator } from '../../../src/proxy/balancing/session-locator.js'
import type { Upstream } from '../../../src/proxy/balancing/upstream.js'

// The locator's own timers keep no process alive.
const alive = setInterval(() => undefined, 1_000)
t.teardown(() => clearInterval(alive))

const session = (sessionId: string, transport: 1 | 2 = 2): NamedSession => ({
  ...{ endpointId: 'e', sessionId, transport }
})

/** Gateways a and b; each session is on the one that its id names. */
function make(lookUp: () => Promise<string | undefined>, say?: (name: string) => Promise<Says>) {
  const asked: string[] = []
  const upstreams = ['a', 'b'].map(name => ({ name, isUp: true }) as unknown as Upstream)
  const locator = new SessionLocator({
    upstreams: { all: upstreams, get: name => upstreams.find(upstream => upstream.name === name) },
    lookUp,
    ask({ name }, { sessionId }, _, isBeginning) {
      asked.push(`${name} ${sessionId}${isBeginning ? ' beginning' : ''}`)
      return say?.(name) ?? Promise.resolve(sessionId.startsWith(name) ? 'living' : 'gone')
    },
    askTask: () => Promise.reject(new Error('no tasks'))
  })
  return { asked, locator }
}

void t.test('the ledger says it, once for all who wait', async t => {
  let lookUps = 0
  const { asked, locator } = make(() => {
    lookUps++
    return Promise.resolve('b')
  })
  const found = await Promise.all(Array.from({ length: 5 }, () => locator.locate(session('x'))))
  t.same(found, ['b', 'b', 'b', 'b', 'b'])
  t.equal(lookUps, 1)
  t.same(asked, [])
})

const cases: [title: string, lookUp: () => Promise<string | undefined>][] = [
  ['the ledger does not know it', () => Promise.resolve(undefined)],
  ['the ledger names a gateway that there is no more', () => Promise.resolve('old')],
  ['the store is away', () => Promise.reject(new Error('away'))],
  ['the store is silent', () => new Promise(() => undefined)]
]
for (const [title, lookUp] of cases)
  void t.test(`${title}: the gateways are asked, each once`, async t => {
    const { asked, locator } = make(lookUp)
    t.same(await Promise.all([locator.locate(session('b-1')), locator.locate(session('b-1'))]), ['b', 'b'])
    t.same(asked, ['a b-1', 'b b-1'])
    t.equal(await locator.locate(session('c')), undefined, 'one that nobody has')
  })

void t.test('a gateway that may have it and does not answer', async t => {
  const { locator } = make(
    () => Promise.resolve(undefined),
    name => (name === 'a' ? Promise.reject(new Error('frozen')) : Promise.resolve('gone'))
  )
  await t.rejects(locator.locate(session('a-1')), {
    code: 'UNKNOWN_UPSTREAM',
    message: /as a cannot be asked/
  })
})

void t.test('a session that begins is not asked for while the ledger may still be told of it', async t => {
  for (const transport of [1, 2] as const) {
    let lookUps = 0
    const { asked, locator } = make(() => Promise.resolve(++lookUps < 4 ? undefined : 'b'))
    t.equal(await locator.locate(session('b-1', transport), undefined, true), 'b')
    t.equal(lookUps, 4)
    t.same(asked, [])
  }
})

void t.test('with the store away, one that begins is asked for without a message', async t => {
  const { asked, locator } = make(() => Promise.reject(new Error('away')))
  t.equal(await locator.locate(session('b-1'), undefined, true), 'b')
  t.same(asked, ['a b-1 beginning', 'b b-1 beginning'])
})

void t.test('gateways are asked for no more than 500 sessions a second', async t => {
  const { locator } = make(() => Promise.resolve(undefined))
  const all = await Promise.allSettled(
    Array.from({ length: 600 }, (_, i) => locator.locate(session(`b-${i}`)))
  )
  const refused = all.filter(({ status }) => status === 'rejected')
  t.ok(refused.length >= 100, `${refused.length} were refused`)
  t.match(refused[0], { reason: { code: 'REFUSED_REQUEST', status: 503 } })
  await sleep(1_000)
  t.equal(await locator.locate(session('b-later')), 'b')
})
