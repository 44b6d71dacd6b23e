// Owns to which conversation a request belongs, wherever it says so.
import type { IncomingHttpHeaders } from 'node:http'
import t from 'tap'
import { conversationKeys } from '../../../src/config/setting-kinds.js'
import { settings } from '../../../src/config/settings.js'
import { ConversationKeys } from '../../../src/proxy/taps/conversation-keys.js'
import { RequestBody } from '../../../src/proxy/taps/request-body.js'

interface Request {
  headers?: IncomingHttpHeaders
  /** Of its params. */
  meta?: object
  body?: string
}

function conversationOf(keys: string, { headers = {}, meta, body }: Request): string | undefined {
  const read = new RequestBody()
  read.add(Buffer.from(body ?? JSON.stringify({ method: 'tools/call', params: { name: 'x', _meta: meta } })))
  return new ConversationKeys(conversationKeys.parse(keys)!).of({ headers }, read)
}

void t.test('the keys that are set if none are given', t => {
  const of = (request: Request): string | undefined =>
    conversationOf(settings.conversationKey.default, request)
  t.equal(of({ meta: { 'openai/session': 'v1/abc' } }), 'v1/abc')
  t.equal(of({ meta: { threadId: 't' } }), 't')
  t.equal(of({ meta: { sessionID: 's' } }), 's')
  t.equal(of({ headers: { 'x-openhands-conversation-id': 'o' } }), 'o')
  t.equal(of({ headers: { 'mcp-client-session-id': 'm' } }), 'm')
  const all = { headers: { 'mcp-client-session-id': 'm' }, meta: { sessionID: 's', 'openai/session': 'v1' } }
  t.equal(of(all), 'v1', 'the first one counts')
  t.equal(of({ meta: { progressToken: 1 } }), undefined)
  t.equal(of({ body: '{"params":{"_meta":{"openai\\/session":"php"}}}' }), 'php')
  t.equal(of({ body: '[{"params":{}},{"params":{"_meta":{"threadId":"batch"}}}]' }), 'batch')
  t.equal(of({ body: '{"params":{"arguments":{"_meta":{"threadId":"not of the request"}}}}' }), undefined)
  t.end()
})

void t.test('members of members, names with dots, and baggage', t => {
  t.equal(conversationOf('meta:a.b', { meta: { a: { b: 'x' } } }), 'x')
  t.equal(conversationOf('meta:a.b', { meta: { 'a.b': 'y', a: { b: 'x' } } }), 'y')
  t.equal(conversationOf('meta:io.x/y.z', { meta: { 'io.x/y': { z: 7 } } }), '7')
  const baggage = 'a=1;p=2, session.id = a%20b%C3%A9;meta , c=3'
  t.match(conversationOf('baggage:session.id', { headers: { baggage } }), /^sha256-/)
  t.equal(conversationOf('baggage:c', { headers: { baggage } }), '3')
  t.equal(conversationOf('baggage:c', { meta: { baggage } }), '3')
  t.equal(conversationOf('baggage:d', { headers: { baggage: 'd=%zz' } }), '%zz')
  t.equal(conversationOf('baggage:x,meta:k', { headers: { baggage }, meta: { k: 'k' } }), 'k')
  t.equal(conversationOf('off', { meta: { threadId: 't' } }), undefined)
  t.end()
})

void t.test('what a stranger writes', t => {
  const of = (request: Request): string | undefined => conversationOf('meta:threadId', request)
  t.match(of({ meta: { threadId: 'x'.repeat(300) } }), /^sha256-[0-9a-f]{64}$/)
  t.match(of({ meta: { threadId: 'a\nb' } }), /^sha256-/)
  for (const threadId of ['', null, {}, [], true, 1.5]) t.equal(of({ meta: { threadId } }), undefined)
  for (const body of ['', '{', '{"_meta":"threadId"}', '{"params":{"_meta":"threadId"}}', '[1,null]'])
    t.equal(of({ body }), undefined)
  t.equal(of({ body: `{"params":{"_meta":{"threadId":"a","x":"${'x'.repeat(70_000)}"}}}` }), undefined)
  for (const name of ['__proto__', 'constructor', '__proto__.toString'])
    t.equal(
      conversationOf(`meta:${name}`, { meta: { a: '"__proto__" "constructor" "toString"' } }),
      undefined
    )
  t.end()
})
