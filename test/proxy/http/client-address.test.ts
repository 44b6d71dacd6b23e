// Owns whose address a request is accounted to: spoof-proof, whatever `X-Forwarded-For` says.
import { Socket } from 'node:net'
import { test } from 'tap'
import { addressRanges } from '../../../src/config/setting-kinds.js'
import { clientAddress, normalized, peerAddressOf } from '../../../src/proxy/http/client-address.js'
import { responseHead, startProxyTo, requestHead } from '../../support/proxy-under-test.js'
import { connectTo, serveResponses } from '../../support/raw-http.js'

const cases: [title: string, trusted: string | undefined, forwardedFor: string[], address: string][] = [
  ['nobody is trusted by default', undefined, ['203.0.113.1'], '127.0.0.1'],
  ['a peer that is not trusted', '10.0.0.0/8', ['203.0.113.1'], '127.0.0.1'],
  ['a trusted peer that says nothing', '127.0.0.1', [], '127.0.0.1'],
  ['a trusted peer', '127.0.0.1', ['203.0.113.1'], '203.0.113.1'],
  ['what the client itself wrote', '127.0.0.1', ['198.51.100.7, 203.0.113.1'], '203.0.113.1'],
  ['behind two trusted hops', '127.0.0.1,10.0.0.0/8', ['1.1.1.1, 203.0.113.1, 10.1.2.3'], '203.0.113.1'],
  ['in two fields', '127.0.0.1,10.0.0.0/8', ['203.0.113.1', '10.1.2.3'], '203.0.113.1'],
  ['all hops are trusted', '127.0.0.1,10.0.0.0/8', ['10.0.0.1, 10.0.0.2'], '10.0.0.1'],
  ['garbage ends the way', '127.0.0.1,10.0.0.0/8', ['203.0.113.1, unknown, 10.0.0.2'], '10.0.0.2'],
  ['an empty field', '127.0.0.1', [''], '127.0.0.1'],
  ['with a port', '127.0.0.1', ['203.0.113.1:4711'], '203.0.113.1'],
  ['IPv6', '127.0.0.1', ['2001:db8::1'], '2001:db8::1'],
  ['IPv6 with a port', '127.0.0.1', ['[2001:db8::1]:4711'], '2001:db8::1'],
  [
    'IPv6 behind a trusted IPv6 hop',
    '127.0.0.1,2001:db8::/32',
    ['2001:db9::1, [2001:db8::1]'],
    '2001:db9::1'
  ],
  ['IPv6 in capitals and at full length', '127.0.0.1', ['2001:0DB8:0:0:0:0:0:1'], '2001:db8::1'],
  ['an IPv4 address as IPv6 in capitals', '127.0.0.1', ['::FFFF:203.0.113.9'], '203.0.113.9'],
  ['an IPv4 address as IPv6 in hexadecimal', '127.0.0.1', ['[0:0:0:0:0:ffff:cb00:7109]:1'], '203.0.113.9'],
  ['an IPv4 address as IPv6', '127.0.0.1,10.0.0.0/8', ['203.0.113.1, ::ffff:10.0.0.1'], '203.0.113.1'],
  ['an address with a zone', '127.0.0.1', ['fe80::1%eth0'], '127.0.0.1'],
  ['a chain without end', '127.0.0.1', [Array<string>(2_000).fill('127.0.0.1').join()], '127.0.0.1']
]

for (const [title, trusted, forwardedFor, address] of cases) {
  await test(title, async t => {
    const server = await serveResponses(() => responseHead('202 Accepted', 'Content-Length: 0'))
    t.teardown(() => server.close())
    const trustedProxy = trusted === undefined ? undefined : addressRanges.parse(trusted)
    const { port, observations } = await startProxyTo(t, server.url, { trustedProxy })
    const connection = await connectTo(port)
    t.teardown(() => connection.socket.destroy())
    const fields = forwardedFor.map(value => `X-Forwarded-For: ${value}`)
    await connection.send(requestHead('GET /stream/a HTTP/1.1', 'Mcp-Session-Id: s', ...fields))
    await connection.done()
    t.match(observations, [{ client: { address } }])
  })
}

/** A socket as if a client at `remoteAddress` were connected to it. */
const peerAt = (remoteAddress: string): Socket =>
  Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress })

void test('an address has one form', t => {
  for (const [form, ...others] of [
    ['2001:db8::1', '2001:DB8::1', '2001:0db8::0001', '2001:db8:0:0:0:0:0:1', '2001:db8:0:0::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8::1:1:1:1:1'],
    ['2001:0:0:1::1', '2001::1:0:0:0:1', '2001:0:0:1:0:0:0:1'],
    ['2001:db8::1:0:0:1', '2001:db8:0:0:1:0:0:1', '2001:db8:0:0:1::1'],
    ['fe80::1', 'fe80::1%eth0', 'FE80::1%3', 'fe80:0::1%en0.1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['::1', '0::1', '::0.0.0.1'],
    ['203.0.113.9', '::ffff:203.0.113.9', '::FFFF:203.0.113.9', '::ffff:cb00:7109', '0::ffff:cb00:7109'],
    ['0.0.0.1', '::ffff:0:1', '::ffff:0.0.0.1'],
    ['64:ff9b::cb00:7109', '64:ff9b::203.0.113.9']
  ])
    for (const other of [form!, ...others]) t.equal(normalized(other), form, other)
  for (const text of ['', 'x', '1.2.3', '0x7f.1', '::g', '1::2::3', '[::1]', '%eth0', '::1%', 'fe80::1%a]b'])
    t.ok([undefined, '::1', 'fe80::1'].includes(normalized(text)), text)
  t.end()
})

void test('a peer on a link has an address with a zone', t => {
  const trusted = addressRanges.parse('10.0.0.0/8,fe80::/10')
  const peer = peerAddressOf(peerAt('fe80::1%eth0'))
  t.equal(peer, 'fe80::1')
  t.equal(clientAddress(peer, '203.0.113.7', trusted), '203.0.113.7')
  t.equal(clientAddress(peer, undefined, trusted), 'fe80::1')
  t.equal(clientAddress('10.0.0.1', 'fe80::5%eth0', trusted), '10.0.0.1')
  t.equal(clientAddress(peerAddressOf(new Socket()), '203.0.113.7', trusted), '')
  t.end()
})
