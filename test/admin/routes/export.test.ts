// Owns the tests of exports: the same rows as CSV and NDJSON, safe for spreadsheets, of any size in flat memory.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { SessionRow } from '../../../src/ledger/store-port.js'
import {
  CONNECTIONS,
  COUNT,
  HOUR,
  MINUTE,
  NOW,
  SERIES,
  session,
  startAdmin,
  urlOf
} from '../../support/admin-under-test.js'
import { MemoryStore } from '../../support/memory-store.js'

const CSV = { accept: 'text/csv' }
const NDJSON = { accept: 'application/x-ndjson' }

const LINE_END = 10

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapUsedNow(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

const formulas = ['=1+1', '+1', '-1', '@a', '\t=1', '\r=1', '\n=1', '\n\n=1', '\uff1d1']

const rows = [
  session({ id: 1, userAgent: '=HYPERLINK("http://evil")', sessionId: 'a"b,c' }),
  session({ id: 2, connectAt: NOW - MINUTE, disconnectAt: NOW - 1, clientName: 'line\r\nbreak' }),
  session({ id: 3, endpointId: 'mail', connectAt: NOW - 2 * MINUTE })
]

void t.test('sessions as CSV: RFC 4180, nothing that a spreadsheet would run', async t => {
  const { app } = startAdmin(t, { store: new MemoryStore(rows) })
  const response = await app.inject({ url: CONNECTIONS, headers: CSV })
  t.equal(response.headers['content-type'], 'text/csv; charset=utf-8')
  t.equal(response.headers['vary'], 'accept')
  t.equal(
    response.body,
    [
      'id,endpoint_id,session_id,transport_type,connect_at,disconnect_at,reason,last_seen_at,request_count,client_address,user_agent,client_name,client_version,protocol_version,upstream,principal,principal_kind,oauth_client,conversation,bytes_in,bytes_out,call_count,error_count,unread_count',
      '2,files,session-2,2,2026-11-21T11:59:30.000Z,2026-11-21T12:00:29.999Z,delete,2026-11-21T11:59:30.000Z,1,192.0.2.7,,"line\r\nbreak",,,,,,,,0,0,0,0,0',
      '3,mail,session-3,2,2026-11-21T11:58:30.000Z,2026-11-21T11:58:30.000Z,,2026-11-21T11:58:30.000Z,1,192.0.2.7,,,,,,,,,,0,0,0,0,0',
      `1,files,"a""b,c",2,2026-11-21T11:00:30.000Z,2026-11-21T11:00:30.000Z,,2026-11-21T11:00:30.000Z,1,192.0.2.7,"'=HYPERLINK(""http://evil"")",,,,,,,,,0,0,0,0,0`,
      ''
    ].join('\r\n')
  )
  const nothing = await app.inject({ url: urlOf(CONNECTIONS, { endpoint_id: 'nowhere' }), headers: CSV })
  t.match(nothing.body, /^id,endpoint_id,[\w,]+\r\n$/)
})

void t.test('as a link: the format, a byte order mark and a file name by parameters', async t => {
  const { app } = startAdmin(t, { store: new MemoryStore(rows) })
  const get = (url: string, query: Record<string, string>) => app.inject({ url: urlOf(url, query) })
  for (const url of [CONNECTIONS, SERIES]) {
    const plain = await get(url, { format: 'csv' })
    t.equal(plain.headers['content-type'], 'text/csv; charset=utf-8')
    t.equal(plain.headers['content-disposition'], undefined)
    const marked = await get(url, { format: 'csv', bom: 'true', filename: 'été (1).csv' })
    t.equal(marked.body, `\ufeff${plain.body}`)
    t.equal(
      marked.headers['content-disposition'],
      `attachment; filename="_t_ (1).csv"; filename*=UTF-8''%C3%A9t%C3%A9%20%281%29.csv`
    )
    t.equal(
      (await get(url, { format: 'ndjson' })).headers['content-type'],
      'application/x-ndjson; charset=utf-8'
    )
    const json = await app.inject({ url: urlOf(url, { format: 'json' }), headers: CSV })
    t.match(json.headers['content-type'], /^application\/json/, 'the parameter goes before Accept')
    for (const bad of [
      { format: 'xls' },
      { bom: '1' },
      { filename: 'a\r\nb' },
      { filename: '../a' },
      { filename: 'a"b' }
    ])
      t.equal((await get(url, bad as Record<string, string>)).statusCode, 400, JSON.stringify(bad))
  }
  const nothing = await get(CONNECTIONS, { format: 'csv', bom: 'true', endpoint_id: 'nowhere' })
  t.match(nothing.body, /^\ufeffid,/)
})

void t.test('no cell of CSV begins as a formula does', async t => {
  const clients = formulas.map(clientName => session({ clientName, userAgent: clientName }))
  const { app } = startAdmin(t, { store: new MemoryStore(clients) })
  const { body } = await app.inject({ url: CONNECTIONS, headers: CSV })
  for (const formula of formulas) {
    const cell = /[\r\n]/.test(formula) ? `"'${formula}"` : `'${formula}`
    t.equal(body.split(`,${cell},${cell},`).length, 2, JSON.stringify(formula))
  }
  t.equal(
    body.replaceAll(/"[^"]*"/g, '').split(/\r\n|\r|\n/).length,
    formulas.length + 2,
    'no cell ends a row'
  )
})

void t.test('sessions and minutes as NDJSON are those of the JSON answer', async t => {
  const { app, ask } = startAdmin(t, { store: new MemoryStore(rows) })
  for (const url of [
    CONNECTIONS,
    urlOf(CONNECTIONS, { endpoint_id: 'files', limit: 1 }),
    urlOf(SERIES, { start_time: NOW - HOUR }),
    urlOf(SERIES, { start_time: NOW - HOUR, endpoint_id: 'mail' })
  ]) {
    const { headers, body } = await app.inject({ url, headers: NDJSON })
    t.equal(headers['content-type'], 'application/x-ndjson; charset=utf-8')
    const lines = body.split('\n').slice(0, -1)
    t.strictSame(
      lines.map(line => JSON.parse(line) as unknown),
      await ask(url),
      url
    )
  }
  const minutes = await app.inject({ url: urlOf(SERIES, { start_time: NOW - 2 * MINUTE }), headers: CSV })
  t.match(minutes.body, /^time,endpoint_id,connect_num,opened,closed,peak\r\n2026-11-21T11:59:00.000Z,files,/)
})

void t.test('what is accepted best is sent, and JSON if nothing of it is known', async t => {
  const { app } = startAdmin(t, { store: new MemoryStore(rows) })
  for (const [accept, type] of [
    ['text/csv;q=0.5, application/x-ndjson', 'application/x-ndjson'],
    ['application/json, text/csv;q=0.9', 'application/json'],
    ['text/html, */*;q=0.8', 'application/json'],
    ['text/*', 'text/csv'],
    ['image/png', 'application/json'],
    ['', 'application/json']
  ] as const) {
    const response = await app.inject({ url: CONNECTIONS, headers: { accept } })
    t.equal(response.headers['content-type'], `${type}; charset=utf-8`, accept)
  }
  t.equal(
    (await app.inject({ url: COUNT, headers: CSV })).headers['content-type'],
    'application/json; charset=utf-8'
  )
})

void t.test('a HEAD has the header fields of the GET, and nothing is read for a body', async t => {
  const store = new MemoryStore(rows)
  const series = store.series.bind(store)
  let reads = 0
  store.series = async function* (query) {
    reads++
    yield* series(query)
  }
  const { app } = startAdmin(t, { store })
  const url = urlOf(SERIES, { endpoint_id: 'files', start_time: NOW - HOUR })
  for (const accept of ['text/csv', 'application/x-ndjson', 'application/json']) {
    reads = 0
    const head = await app.inject({ method: 'HEAD', url, headers: { accept } })
    // Until this one was answered, a body of that one would have been begun.
    const get = await app.inject({ url, headers: { accept } })
    t.equal(reads, 1, accept)
    t.equal(head.body, '')
    const { 'transfer-encoding': _coding, date: _date, ...fields } = get.headers
    t.match(head.headers, fields)
    t.equal(head.headers['content-length'], undefined)
  }
})

void t.test('three hundred thousand sessions, in flat memory', { timeout: 120_000 }, async t => {
  const SESSIONS = 300_000
  const store = new MemoryStore()
  store.connections = ({ after, limit }) => {
    const from = after ? after.id - 1 : SESSIONS
    const page: SessionRow[] = []
    for (let id = from; id > 0 && page.length < limit; id--)
      page.push(session({ id, connectAt: NOW - HOUR + id }))
    return Promise.resolve(page)
  }
  const { app } = startAdmin(t, { store })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const response = await fetch(origin + CONNECTIONS, { headers: NDJSON })
  const before = heapUsedNow()
  let [lines, most] = [0, 0]
  for await (const chunk of response.body!) {
    for (const byte of chunk as Uint8Array) {
      if (byte === LINE_END && ++lines % 50_000 === 0) most = Math.max(most, heapUsedNow())
    }
  }
  t.equal(lines, SESSIONS)
  t.comment(`heap grew by at most ${((most - before) / 1e6).toFixed(1)} MB`)
  t.ok(most - before < 10_000_000)
})

void t.test('minutes beyond what JSON may hold', async t => {
  const store = new MemoryStore()
  const asked: number[] = []
  store.series = async function* ({ start, end }) {
    asked.push((end - start) / MINUTE + 1)
    for (let time = start; time <= end; time += 1_000 * MINUTE) {
      const length = Math.min(1_000, (end - time) / MINUTE + 1)
      const point = { endpointId: 'e', connectNum: 0, opened: 0, closed: 0, peak: null }
      yield await Promise.resolve(Array.from({ length }, (_, i) => ({ ...point, time: time + i * MINUTE })))
    }
  }
  const { app } = startAdmin(t, { store })
  const url = urlOf(SERIES, { endpoint_id: 'e', start_time: NOW - 600_000 * MINUTE })
  t.equal((await app.inject(url)).statusCode, 400)
  const lines = (await app.inject({ url, headers: CSV })).body.split('\r\n')
  t.equal(lines.length, 600_000 + 2)
  t.equal(new Set(lines.slice(1, -1).map(line => line.slice(0, 24))).size, 600_000, 'each minute once')
  t.ok(Math.max(...asked) <= 50_000)
})
