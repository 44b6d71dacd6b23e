// Owns whose address a request is accounted to: spoof-proof, whatever `X-Forwarded-For` says.
import { test } from 'tap'
import { addressRanges } from '../../../src/config/setting-kinds.js'
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
