// Owns what one answer proves of a session: the cases of the wire, one a line.
import t from 'tap'
import type { StreamableResponse } from '../../src/sessions/observations.js'
import { messageSignal, pingSignal, type Signal, streamableSignal } from '../../src/sessions/signals.js'

const client = { address: '127.0.0.1', userAgent: undefined }

function answer(method: string, status: number, rest: Partial<StreamableResponse> = {}): StreamableResponse {
  return {
    kind: 'streamable',
    endpointId: 'e',
    method,
    status,
    sessionId: undefined,
    issuedSessionId: undefined,
    protocolVersion: undefined,
    sessionNotFound: false,
    client,
    at: 0,
    ...rest
  }
}

const known = { sessionId: 's' }
const gone = { sessionNotFound: true }
const modern = { protocolVersion: '2026-07-28' }

const cases: [title: string, signal: Signal, answer: StreamableResponse][] = [
  ['initialize answered with an id', 'open', answer('POST', 200, { issuedSessionId: 's' })],
  [
    'initialize with a stale id answered with a new one',
    'open',
    answer('POST', 200, { sessionId: 'old', issuedSessionId: 's' })
  ],
  ['initialize refused', 'none', answer('POST', 500, { issuedSessionId: 's' })],
  ['a stateless answer', 'visit', answer('POST', 200)],
  ['a stateless notification', 'visit', answer('POST', 202)],
  ['a stateless answer to a GET', 'none', answer('GET', 200)],
  ['a probe refused', 'none', answer('POST', 400, modern)],
  ['a request', 'use', answer('POST', 200, known)],
  ['a request whose answer repeats the id', 'use', answer('POST', 200, { ...known, issuedSessionId: 's' })],
  ['a notification', 'use', answer('POST', 202, known)],
  ['a GET stream', 'use', answer('GET', 200, known)],
  ['a CORS preflight', 'none', answer('OPTIONS', 204, known)],
  ['DELETE accepted', 'delete', answer('DELETE', 202, known)],
  ['DELETE of a gone session', 'gone', answer('DELETE', 404, { ...known, ...gone })],
  ['DELETE that is not routed', 'doubt', answer('DELETE', 404, known)],
  ['DELETE refused', 'none', answer('DELETE', 405, known)],
  ['DELETE without an id', 'none', answer('DELETE', 400)],
  ['an expired session (rmcp >= 1.0)', 'gone', answer('POST', 404, { ...known, ...gone })],
  [
    'an expired session, on its stream',
    'gone',
    answer('GET', 404, { ...known, ...gone, acceptsStream: true })
  ],
  ['a 404 of a proxy in between', 'doubt', answer('POST', 404, known)],
  ['a server without GET streams', 'doubt', answer('GET', 404, { ...known, acceptsStream: true })],
  ['a page that is not there', 'none', answer('GET', 404, known)],
  ['method not found', 'none', answer('POST', 404, { ...known, methodNotFound: true })],
  ['400, session not found', 'gone', answer('POST', 400, { ...known, ...gone })],
  ['200, session not found', 'gone', answer('POST', 200, { ...known, ...gone })],
  ...['PUT', 'PATCH', 'TRACE', 'PROPFIND', 'HEAD', 'OPTIONS'].flatMap(
    (method): [string, Signal, StreamableResponse][] => [
      [`${method} that is not routed`, 'none', answer(method, 404, known)],
      [`${method} of whatever is not found`, 'none', answer(method, 404, { ...known, ...gone })]
    ]
  ),
  ['an expired session (rmcp 0.x)', 'gone', answer('POST', 401, { ...known, ...gone })],
  ['a 401 of an authorization layer', 'none', answer('POST', 401, known)],
  ['a 400', 'none', answer('POST', 400, known)],
  ['a second GET stream refused', 'none', answer('GET', 409, known)],
  ['a server error', 'none', answer('POST', 500, known)],
  ['a redirect', 'none', answer('POST', 307, known)],
  ['404 without an id', 'none', answer('POST', 404)],
  ['2026-07-28: a request', 'visit', answer('POST', 200, modern)],
  ['2026-07-28: method not found, without an id', 'none', answer('POST', 404, modern)],
  [
    'initialize that offers 2026-07-28, answered with an id',
    'open',
    answer('POST', 200, { ...modern, issuedSessionId: 's' })
  ],
  ['2026-07-28: method not found', 'none', answer('POST', 404, { ...known, ...modern })],
  [
    '2026-07-28: an id means nothing, but to a gateway that is older',
    'claim',
    answer('POST', 200, { ...known, ...modern })
  ],
  [
    '2026-07-28: DELETE accepted, by a gateway that is older',
    'delete',
    answer('DELETE', 202, { ...known, ...modern })
  ],
  ['2026-07-28: DELETE refused', 'none', answer('DELETE', 405, { ...known, ...modern })],
  [
    '2026-07-28: an expired session (rmcp 0.x)',
    'gone',
    answer('POST', 401, { ...known, ...modern, ...gone })
  ],
  ['a draft: a request', 'use', answer('POST', 200, { ...known, protocolVersion: 'DRAFT-2025-v2' })],
  ['a draft: 404', 'doubt', answer('POST', 404, { ...known, protocolVersion: 'DRAFT-2025-v2' })],
  ['2025-11-25: 404', 'doubt', answer('POST', 404, { ...known, protocolVersion: '2025-11-25' })]
]

for (const [title, signal, observed] of cases) {
  void t.test(title, t => {
    t.equal(streamableSignal(observed), signal)
    t.end()
  })
}

void t.test('POST /message refused with a word', t => {
  const message = { kind: 'message', endpointId: 'e', sessionId: 's', client, at: 0 } as const
  t.equal(messageSignal({ ...message, status: 400, ...gone }), 'gone')
  t.equal(messageSignal({ ...message, status: 404, methodNotFound: true }), 'none')
  t.end()
})

void t.test('what answers to a ping prove', t => {
  const signal = (status: number, rest = {}): Signal =>
    pingSignal({
      kind: 'ping-response',
      endpointId: 'e',
      sessionId: 's',
      status,
      sessionNotFound: false,
      at: 0,
      ...rest
    })
  t.equal(signal(200), 'living')
  t.equal(signal(200, gone), 'gone')
  t.equal(signal(404), 'gone', 'the specification asks for it')
  t.equal(signal(404, { methodNotFound: true }), 'none')
  t.equal(signal(400, gone), 'gone')
  t.equal(signal(503), 'none')
  t.end()
})

for (const [status, signal] of [
  [202, 'use'],
  [200, 'use'],
  [404, 'gone'],
  [410, 'none'],
  [400, 'none'],
  [401, 'none']
] as const) {
  void t.test(`POST /message answered ${status}`, t => {
    t.equal(
      messageSignal({ kind: 'message', endpointId: 'e', sessionId: 's', status, client, at: 0 }),
      signal
    )
    t.end()
  })
}
