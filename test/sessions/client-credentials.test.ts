// Owns that what is remembered of clients is bounded, follows their last request, and is found by stored ids.
import t from 'tap'
import { storedId } from '../../src/mcp/stored-ids.js'
import { ClientCredentials } from '../../src/sessions/client-credentials.js'

const caller = (sessionId: string, authorization: string) => ({
  target: '/stream/e',
  host: 'gateway',
  sessionId,
  protocolVersion: undefined,
  authorization
})

void t.test('the last request counts, and a deleted session is forgotten', t => {
  const callers = new ClientCredentials()
  callers.note('e', caller('s', 'one'))
  callers.note('e', caller('s', 'two'))
  t.match(callers.of('e', 's'), { authorization: 'two' })
  t.equal(callers.of('f', 's'), undefined)
  callers.forget('e', 's')
  t.equal(callers.of('e', 's'), undefined)
  t.end()
})

void t.test('a long id is found by its digest, and one that is never stored is not kept', t => {
  const callers = new ClientCredentials()
  const long = 'j'.repeat(1_000)
  callers.note('e', caller(long, 'x'))
  t.match(callers.of('e', storedId(long)!), { sessionId: long })
  callers.note('e', caller('a b', 'x'))
  t.equal(callers.of('e', 'a b'), undefined)
  t.end()
})

void t.test('with time those not in use are forgotten', t => {
  const callers = new ClientCredentials()
  for (const id of ['asked', 'kept', 'left']) callers.note('e', caller(id, 'x'))
  for (let i = 0; i < 3; i++) {
    callers.age()
    callers.note('e', caller('asked', 'x'))
    callers.keep('e', 'kept')
    callers.keep('e', 'never seen')
  }
  t.match(callers.of('e', 'asked'), { authorization: 'x' })
  t.match(callers.of('e', 'kept'), { authorization: 'x' })
  t.equal(callers.of('e', 'left'), undefined)
  t.equal(callers.of('e', 'never seen'), undefined)
  t.end()
})

void t.test('when there is too much, those not used for the longest time go first', t => {
  const callers = new ClientCredentials(20_000)
  const token = 'x'.repeat(1_700)
  const note = (...ids: string[]): void => ids.forEach(id => callers.note('e', caller(id, token)))
  const known = (): string =>
    Array.from('abcdefghijk')
      .filter(id => callers.of('e', id))
      .join('')
  note('a', 'b', 'c', 'd', 'e')
  note('a', 'b', 'f', 'a', 'g')
  t.equal(known(), 'abcdefg')
  note('h', 'i', 'j', 'k')
  t.equal(known(), 'afghijk', 'half of what is kept at least, and no more than all')
  callers.note('e', caller('huge', 'x'.repeat(20_000)))
  t.equal(callers.of('e', 'huge'), undefined)
  t.equal(known(), 'afghijk')
  t.end()
})
