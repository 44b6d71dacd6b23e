// Owns on whose behalf a request is sent, whatever its header fields hold.
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import type { Principal } from '../../../src/mcp/principal.js'
import { type PrincipalSettings, Principals } from '../../../src/proxy/http/principals.js'
import { jwt } from '../../support/jwt.js'

type Fields = Record<string, string | string[]>

const settings: PrincipalSettings = {
  principals: 'plain',
  principalHeader: undefined,
  principalClaim: undefined,
  apiKeyHeader: 'x-api-key'
}

/** A request as Node has it, with these fields; one with several values was sent several times. */
function requestWith(fields: Fields): IncomingMessage {
  const headers = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
  const joined = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value])
  )
  const distinct = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [value].flat()]))
  return { headers: { ...headers, ...joined }, headersDistinct: distinct } as unknown as IncomingMessage
}

const of = (
  fields: Fields,
  given: Partial<PrincipalSettings> = {},
  fromTrusted = false
): Principal | undefined =>
  new Principals({ ...settings, ...given }).of(requestWith(fields), () => fromTrusted)

const bearer = (claims: object | string): Fields => ({ authorization: `Bearer ${jwt(claims)}` })

void t.test('the issuer and subject of a JWT, and its client', t => {
  const claims = { iss: 'https://id.example', sub: 'ann', client_id: 'agent', azp: 'other' }
  t.strictSame(of(bearer(claims)), { kind: 'oauth', name: 'https://id.example#ann', oauthClient: 'agent' })
  t.strictSame(of({ authorization: `bearer  ${jwt(claims)} ` })?.name, 'https://id.example#ann')
  t.strictSame(of({ authorization: `DPoP ${jwt(claims)}` })?.name, 'https://id.example#ann')
  t.strictSame(of(bearer({ sub: 'ann', azp: 'web' })), { kind: 'oauth', name: 'ann', oauthClient: 'web' })
  t.strictSame(of(bearer({ iss: 'i', sub: 7 })), { kind: 'oauth', name: 'i#7' })
  t.strictSame(of(bearer({ iss: 'i', sub: '知识 库' }))?.name, 'i#知识 库')
  t.end()
})

void t.test('another claim of a JWT, where the token has it', t => {
  const email = { principalClaim: 'email' }
  t.equal(of(bearer({ iss: 'i', sub: 's', email: 'ann@example.com' }), email)?.name, 'ann@example.com')
  t.equal(of(bearer({ iss: 'i', sub: 's' }), email)?.name, 'i#s')
  for (const principalClaim of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
    t.equal(of(bearer({ iss: 'i', sub: 's' }), { principalClaim })?.name, 'i#s', principalClaim)
  t.equal(of(bearer('{"__proto__":{"sub":"evil"},"sub":"s"}'))?.name, 's')
  t.end()
})

void t.test('what is no JWT that can be read is a key', t => {
  const payload = (bytes: Buffer | string): string => Buffer.from(bytes).toString('base64url')
  for (const token of [
    'opaque',
    'a.b',
    'a.b.c.d',
    'a.b.c.d.e',
    '..',
    `x.${payload('{')}.y`,
    `x.${payload('[{"sub":"a"}]')}.y`,
    `x.${payload('null')}.y`,
    `x.${payload('"sub"')}.y`,
    `x.${payload(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))}.y`,
    `x.${payload('{"sub":"a"}')}!.y`,
    `x.${payload('{"sub":{"a":1}}')}.y`,
    `x.${payload('{"sub":["ann"],"iss":"i"}')}.y`,
    `x.${payload('{"sub":null,"iss":"i"}')}.y`,
    `x.${payload('{"sub":true}')}.y`,
    `x.${payload('{"sub":""}')}.y`,
    `x.${payload('{"sub":1.5}')}.y`,
    `x.${payload(`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)}.y`,
    `x.${payload(`{"sub":"ann","pad":"${'x'.repeat(20_000)}"}`)}.y`
  ]) {
    const principal = of({ authorization: `Bearer ${token}` })
    t.match(principal, { kind: 'key', isDigest: true, name: /^[\w-]{43}$/ }, token.slice(0, 40))
    t.notMatch(JSON.stringify(principal), token, 'never the token itself')
  }
  t.end()
})

void t.test('a name that cannot be stored as it is is known by its digest', t => {
  for (const [what, sub] of Object.entries({
    'too long': 'x'.repeat(300),
    'much too long': '\u{1f600}'.repeat(2_500),
    'a line feed': 'a\nb',
    'a NUL': 'a\u0000b',
    'a space in front': ' a',
    'a space behind': 'a ',
    'a line separator': 'a\u2028b',
    'an escape sequence': '\u001b[31m'
  }))
    t.match(of(bearer({ sub }))?.name, /^sha256-[0-9a-f]{64}$/, what)
  t.not(of(bearer({ sub: 'a\nb' }))?.name, of(bearer({ sub: 'a\rb' }))?.name, 'they stay different')
  t.match(of(bearer({ sub: 'a', client_id: 'b\nc' }))?.oauthClient, /^sha256-/)
  t.match(of(bearer({ sub: 'a', iss: 'i'.repeat(10_000) }))?.name, /^sha256-/)
  t.equal(of(bearer({ iss: ['i'], sub: 'a', client_id: ['b'], azp: {} }))?.oauthClient, undefined)
  t.end()
})

void t.test('keys, whichever field they come in', t => {
  const key = of({ 'x-api-key': 'secret' })
  t.match(key, { kind: 'key', isDigest: true })
  t.strictSame(of({ authorization: 'Bearer secret' }), key)
  t.not(of({ authorization: 'Bearer secret2' })?.name, key?.name)
  t.not(of({ authorization: 'Basic secret' })?.name, key?.name)
  t.strictSame(of({ key: 'secret' }, { apiKeyHeader: 'key' }), key)
  t.equal(of({ key: 'secret' }), undefined)
  t.equal(of({ 'x-api-key': '', authorization: '' }), undefined)
  t.equal(of({}), undefined)
  t.equal(
    of({ 'x-api-key': 'secret', connection: 'close, X-Api-Key' }),
    undefined,
    'the gateway does not get it'
  )
  const both = { ...bearer({ sub: 'ann' }), 'x-api-key': 'secret' }
  t.equal(of(both)?.name, 'ann', 'a JWT comes first')
  t.end()
})

void t.test('who signs each request is known by the key, not by the signature', t => {
  const aws = (signature: string, id = 'AKID'): Fields => ({
    authorization: `AWS4-HMAC-SHA256 Credential=${id}/20261121/eu/s/aws4_request, SignedHeaders=host, Signature=${signature}`
  })
  t.strictSame(of(aws('1')), of(aws('2')))
  t.not(of(aws('1'))?.name, of(aws('1', 'OTHER'))?.name)
  const digest = (nonce: string): Fields => ({
    authorization: `Digest username="ann", realm="r", nonce="${nonce}"`
  })
  t.strictSame(of(digest('1')), of(digest('2')))
  t.end()
})

void t.test('a header field counts from a trusted proxy only, and comes first', t => {
  const given = { principalHeader: 'x-user' }
  const fields = { 'x-user': 'ann', ...bearer({ sub: 'bob' }) }
  t.strictSame(of(fields, given, true), { kind: 'header', name: 'ann' })
  t.equal(of(fields, given, false)?.name, 'bob')
  t.equal(of(fields, {}, true)?.name, 'bob')
  t.equal(
    of({ 'x-user': ['evil', 'ann'] }, given, true)?.name,
    'ann',
    'the last value, as its proxy wrote it'
  )
  t.equal(of({ 'x-user': 'Doe, Jane' }, given, true)?.name, 'Doe, Jane')
  t.equal(of({ 'x-user': Buffer.from('größe').toString('latin1') }, given, true)?.name, 'größe')
  t.equal(of({ 'x-user': '' }, given, true), undefined)
  t.end()
})

void t.test('hashed, and off', t => {
  const hashed = of(bearer({ iss: 'i', sub: 'ann' }), { principals: 'hashed' })
  t.match(hashed, { kind: 'oauth', isDigest: true })
  t.notMatch(hashed?.name, 'ann')
  const header = { principals: 'hashed', principalHeader: 'x-user' } as const
  t.match(of({ 'x-user': 'ann' }, header, true), { kind: 'header', isDigest: true })
  t.equal(of(bearer({ sub: 'ann' }), { principals: 'off' }), undefined)
  t.end()
})

void t.test('tokens that end alike are told apart', t => {
  const principals = new Principals(settings)
  const ask = (authorization: string): string | undefined =>
    principals.of(requestWith({ authorization }), () => false)?.name
  const end = 'x'.repeat(60)
  const names = [1, 2, 1, 2].map(i => ask(`Bearer ${i}${end}`))
  t.equal(names[0], names[2])
  t.equal(names[1], names[3])
  t.not(names[0], names[1])
  t.end()
})
