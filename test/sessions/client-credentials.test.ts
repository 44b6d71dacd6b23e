// Owns that the credentials of clients are bounded in memory, follow their last request, and are found by stored ids.
import t from 'tap'
import { storedSessionId } from '../../src/mcp/stored-ids.js'
import { ClientCredentials } from '../../src/sessions/client-credentials.js'

const request = (sessionId: string, authorization: string) => ({
  target: '/stream/e',
  host: 'gateway',
  sessionId,
  protocolVersion: undefined,
  authorization
})

void t.test('the last request counts, and a deleted session is forgotten', t => {
  const credentials = new ClientCredentials()
  credentials.note('e', request('s', 'one'))
  credentials.note('e', request('s', 'two'))
  t.match(credentials.of('e', 's'), { authorization: 'two' })
  t.equal(credentials.of('f', 's'), undefined)
  credentials.forget('e', 's')
  t.equal(credentials.of('e', 's'), undefined)
  t.end()
})

void t.test('a long id is found by its digest, and one that is never stored is not kept', t => {
  const credentials = new ClientCredentials()
  const long = 'j'.repeat(1_000)
  credentials.note('e', request(long, 'x'))
  t.match(credentials.of('e', storedSessionId(long)!), { sessionId: long })
  credentials.note('e', request('a b', 'x'))
  t.equal(credentials.of('e', 'a b'), undefined)
  t.end()
})

void t.test('with time those not in use are forgotten', t => {
  const credentials = new ClientCredentials()
  for (const id of ['asked', 'kept', 'left']) credentials.note('e', request(id, 'x'))
  for (let i = 0; i < 3; i++) {
    credentials.age()
    credentials.note('e', request('asked', 'x'))
    credentials.keep('e', 'kept')
    credentials.keep('e', 'never seen')
  }
  t.match(credentials.of('e', 'asked'), { authorization: 'x' })
  t.match(credentials.of('e', 'kept'), { authorization: 'x' })
  t.equal(credentials.of('e', 'left'), undefined)
  t.equal(credentials.of('e', 'never seen'), undefined)
  t.end()
})

void t.test('when there is too much, those not used for the longest time go first', t => {
  const credentials = new ClientCredentials(20_000)
  const token = 'x'.repeat(1_700)
  const note = (...ids: string[]): void => ids.forEach(id => credentials.note('e', request(id, token)))
  const known = (): string =>
    Array.from('abcdefghijk')
      .filter(id => credentials.of('e', id))
      .join('')
  note('a', 'b', 'c', 'd', 'e')
  note('a', 'b', 'f', 'a', 'g')
  t.equal(known(), 'abcdefg')
  note('h', 'i', 'j', 'k')
  t.equal(known(), 'afghijk', 'half of what is kept at least, and no more than all')
  credentials.note('e', request('huge', 'x'.repeat(20_000)))
  t.equal(credentials.of('e', 'huge'), undefined)
  t.equal(known(), 'afghijk')
  t.end()
})
