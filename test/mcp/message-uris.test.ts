// Owns what names the session in the URI of a message, and which open stream a message belongs to.
import t from 'tap'
import { MessageUris, sessionOfMessage } from '../../src/mcp/message-uris.js'

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/
const id = '3f0c9a7e-1b1f-4c1e-9d51-0a5f6a0d7c11'

const uris: [target: string, session: string | undefined, constant?: string][] = [
  ['/message?sessionId=s&endpointId=e', 's'],
  ['/messages/?session_id=s', 's'],
  ['/e1/sse?sessionid=s', 's'],
  ['/m?session=s', 's'],
  ['/m?client_id=s', 's'],
  ['/m?session_id=FAKE&sessionId=REAL', 'REAL'],
  ['/m?sessionId=a&sessionId=b', 'a'],
  ['/m?sessionId=&session_id=s', 's'],
  ['/m?sessionId=%73%20x', 's x'],
  ['/m?sessionId=%ff', undefined],
  [`/m?conversation=${id}`, id],
  [`/m?conversation=${id}&endpointId=abcdef12`, id],
  [`/m?v=2024-11-05&c=${id}`, id],
  ['/m?api_key=abcdef0123456789', undefined],
  ['/m?a=abcdef0123&b=abcdef0124', undefined],
  ['/m?version=1.10.22', undefined],
  [`/messages/${id}`, id],
  [`/messages/${id}/?transport=sse`, id],
  ['/message', undefined],
  ['/mcp/messages', undefined],
  ['/messages/3', undefined],
  ['/servers/server-12345', undefined, '/servers/server-12345/sse'],
  ['/api/v1/project/0f8fad5b-d9cb?session_id=s', 's']
]

void t.test('long targets take no time', t => {
  const startedAt = performance.now()
  for (const text of ['a1', 'A', '1.', '%41', '/', '=&'])
    sessionOfMessage(`/${text.repeat(30_000)}/sse?${text.replace('/', 'x').repeat(30_000)}`)
  t.ok(performance.now() - startedAt < 5_000)
  t.end()
})

for (const [target, session, constant] of uris) {
  void t.test(`${target} names ${session ?? 'no session'}`, t => {
    t.equal(sessionOfMessage(target, constant), session)
    t.end()
  })
}

const client = { address: '192.0.2.1', userAgent: 'agent' }
const stream = (target = '/e/sse', of = client) => ({ endpointId: 'e', target, client: of })

const announced: [name: string, uri: string, target: string][] = [
  ['a path', '/message?sessionId=s', '/message?sessionId=s'],
  ['a URL', 'https://gateway.example/message?sessionId=s#x', '/message?sessionId=s'],
  ['a path relative to the stream', 'messages/?sessionId=s', '/e/messages/?sessionId=s'],
  ['a query', '?sessionId=s', '/e/sse?sessionId=s'],
  ['a path above', '../m?sessionId=s', '/m?sessionId=s'],
  ['escapes', '/m%7eé?sessionId=s', '/m~%c3%A9?session%49d=s'],
  ['the base path', '/base/message?sessionId=s', '/base/message?sessionId=s'],
  ['the base path, which the client leaves out', '/base/message?sessionId=s', '/message?sessionId=s'],
  ['much text', `/m?sessionId=s&x=${'y'.repeat(5_000)}`, `/m?sessionId=s&x=${'y'.repeat(5_000)}`]
]

for (const [name, uri, target] of announced) {
  void t.test(`a stream announces ${name}`, t => {
    const uris = new MessageUris()
    const session = uris.announce(uri, { ...stream(), basePath: '/base' })
    t.match(session, { endpointId: 'e', sessionId: 's' })
    t.equal(uris.sessionOf(target, { client }), session)
    t.equal(uris.sessionOf(`${target}&x=1`, { client }), undefined)
    uris.withdraw(session)
    t.equal(uris.sessionOf(target, { client }), undefined)
    t.end()
  })
}

void t.test('a URI that names no session that can be stored makes a session of its own', t => {
  const uris = new MessageUris()
  for (const uri of ['/message', 'http://[', '/m?sessionId=s%20x', ''])
    t.match(uris.announce(uri, stream()).sessionId, UUID)
  t.end()
})

void t.test('streams that announce the same are never one session', t => {
  const uris = new MessageUris()
  const other = { ...client, address: '192.0.2.2' }
  const first = uris.announce('/m?client_id=c', stream())
  const second = uris.announce('/m?client_id=c', stream('/e/sse', other))
  t.equal(first.sessionId, 'c')
  t.match(second.sessionId, UUID)
  t.equal(uris.sessionOf('/m?client_id=c', { client }), first, 'a message is of the stream of its client')
  t.equal(uris.sessionOf('/m?client_id=c', { client: other }), second)
  t.equal(uris.sessionOf('/m?client_id=c', { client: { ...client, userAgent: 'third' } }), undefined)
  uris.withdraw(first)
  t.equal(uris.sessionOf('/m?client_id=c', { client }), second, 'only one is left')
  uris.withdraw(second)
  t.match(uris.announce('/m?client_id=c', stream()).sessionId, UUID, 'nor is a later one')
  t.equal(uris.announce('/m?client_id=c', { ...stream(), endpointId: 'f' }).sessionId, 'c')
  t.end()
})
