// Owns who is the same session-less client: by what its requests have in common, and by the name that it gives itself.
import t from 'tap'
import { unknownClient } from '../../src/mcp/client-info.js'
import { Visitors } from '../../src/sessions/visitors.js'

const client = { address: '192.0.2.1', userAgent: 'agent' }
const named = (clientName: string, clientVersion: string | null = '1'): typeof unknownClient => ({
  ...unknownClient,
  clientName,
  clientVersion
})

void t.test('clients differ by endpoint, address, user agent, Authorization, name and version', t => {
  const visitors = new Visitors()
  const all = [
    visitors.of('e', client, 'Bearer x', unknownClient),
    visitors.of('f', client, 'Bearer x', unknownClient),
    visitors.of('e', { ...client, address: '192.0.2.2' }, 'Bearer x', unknownClient),
    visitors.of('e', { ...client, userAgent: undefined }, 'Bearer x', unknownClient),
    visitors.of('e', client, 'Bearer y', unknownClient),
    visitors.of('e', client, undefined, unknownClient),
    visitors.of('e', client, 'Bearer x', named('a')),
    visitors.of('e', client, 'Bearer x', named('b')),
    visitors.of('e', client, 'Bearer x', named('a', '2')),
    visitors.of('e', client, 'Bearer x', named('a', null))
  ]
  t.equal(new Set(all).size, all.length)
  t.notMatch(all.join(), 'Bearer')
  t.equal(new Visitors().of('e', { ...client }, 'Bearer x', named('a')), all[6], 'the same on each proxy')
  t.end()
})

void t.test('a request without a name is of the client that named itself last', t => {
  const visitors = new Visitors()
  const nameless = visitors.of('e', client, undefined, unknownClient)
  const a = visitors.of('e', client, undefined, named('a'))
  t.equal(visitors.of('e', client, undefined, unknownClient), a)
  const b = visitors.of('e', client, undefined, named('b'))
  t.equal(visitors.of('e', client, undefined, unknownClient), b)
  t.equal(visitors.of('e', client, undefined, named('a')), a)
  t.equal(visitors.of('e', client, undefined, unknownClient), a)
  t.equal(visitors.of('e', client, 'Bearer x', unknownClient).length, nameless.length, 'not of another one')
  t.end()
})

void t.test('the names that are remembered are bounded, and those in use stay', t => {
  const visitors = new Visitors()
  const of = (agent: string, info = unknownClient): string =>
    visitors.of('e', { ...client, userAgent: agent }, undefined, info)
  const [kept, forgotten] = [of('kept', named('k')), of('forgotten', named('f'))]
  for (let i = 0; i < 30_000; i++) {
    of(`agent ${i}`, named('x'))
    if (i % 5_000 === 0) t.equal(of('kept'), kept)
  }
  t.not(of('forgotten'), forgotten)
  t.end()
})
