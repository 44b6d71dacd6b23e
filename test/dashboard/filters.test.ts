// Owns the tests of which sessions match the filters.
import t from 'tap'
import { filtersOf, isNarrowed, matcher } from '../../src/dashboard/filters.js'
import type { ListedSession } from '../../src/dashboard/sessions.js'

const session: ListedSession = {
  key: 'files s-1',
  endpointId: 'files',
  sessionId: 'B617F591',
  transport: 'streamable',
  connectedAt: 0,
  lastSeenAt: 0,
  ended: null,
  requestCount: 1,
  address: '192.0.2.7',
  userAgent: 'node',
  clientName: 'Claude Desktop',
  clientVersion: '1.2.3',
  protocolVersion: null,
  upstream: null
}

function form(values: Record<'state' | 'client' | 'transport', string>): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(values)) form.set(name, value)
  return form
}

void t.test('the form as it is at first narrows nothing', t => {
  const filters = filtersOf(form({ state: 'open', client: '', transport: '' }))
  t.strictSame(filters, { state: 'open', text: '', transport: undefined })
  t.notOk(isNarrowed(filters))
  t.ok(matcher(filters)(session))
  t.end()
})

void t.test('spaces around a text do not count; spaces alone are no text', t => {
  const spaces = filtersOf(form({ state: 'all', client: '  ', transport: '' }))
  t.notOk(isNarrowed(spaces))
  const filters = filtersOf(form({ state: 'ended', client: ' claude ', transport: 'sse' }))
  t.strictSame(filters, { state: 'ended', text: 'claude', transport: 'sse' })
  t.ok(isNarrowed(filters))
  t.end()
})

void t.test('a text is looked for in what describes a client, in any case of letters', t => {
  for (const text of ['CLAUDE', 'desktop', '1.2.3', 'NODE', '192.0.2', 'b617f'])
    t.ok(matcher({ text, transport: undefined })(session), text)
  for (const text of ['files', 'claude  desktop', 'null', 'x'.repeat(10_000)])
    t.notOk(matcher({ text, transport: undefined })(session), text.slice(0, 20))
  const silent = { ...session, clientName: null, clientVersion: null, userAgent: '' }
  t.notOk(
    matcher({ text: 'null', transport: undefined })(silent),
    'a client without a name is not called null'
  )
  t.end()
})

void t.test('transport and text must both match', t => {
  t.ok(matcher({ text: 'node', transport: 'streamable' })(session))
  t.notOk(matcher({ text: 'node', transport: 'sse' })(session))
  t.notOk(matcher({ text: 'deno', transport: 'streamable' })(session))
  t.end()
})
