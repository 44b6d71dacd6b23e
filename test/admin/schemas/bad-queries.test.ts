// Owns the tests of what queries refuse: a 400 that names the parameter and says what to give.
import t from 'tap'
import { encodeCursor } from '../../../src/admin/schemas/cursor.js'
import { CONNECTIONS, COUNT, SERIES, session, startAdmin } from '../../support/admin-under-test.js'
import { MemoryStore } from '../../support/memory-store.js'

const cursor = encodeCursor({ connectAt: 1, id: 1 })
const refused: [query: string, message: RegExp, paths?: string[]][] = [
  ['start_time=yesterday', /^start_time cannot be used: give .*RFC 3339.*epoch milliseconds$/],
  ['end_time=2026-02-30T00:00:00Z', /^end_time cannot be used: give an existing time/],
  ['end_time=', /^end_time cannot be used/],
  [
    'start_time=2026-11-02T00:00:00Z&end_time=2026-11-01T00:00:00Z',
    /^start_time is after end_time: swap them$/
  ],
  ['start_time=2027-01-01T00:00:00Z', /^start_time is in the future: give an end_time/],
  [
    'endpoint_id=',
    /^endpoint_id cannot be used: give an endpoint id of 1 to 8192 characters/,
    [CONNECTIONS, COUNT]
  ],
  [`endpoint_id=${'x'.repeat(8_193)}`, /^endpoint_id cannot be used/, [CONNECTIONS, COUNT, SERIES]],
  [
    'endpoint_id=a&endpoint_id=a',
    /^endpoint_id is there more than once: give it once$/,
    [CONNECTIONS, COUNT, SERIES]
  ],
  [
    'endpointId=a',
    /^unknown parameter endpointId: this query takes endpoint_id, /,
    [CONNECTIONS, COUNT, SERIES]
  ],
  ['constructor=a', /^unknown parameter constructor/, [CONNECTIONS, COUNT, SERIES]],
  ['__proto__=a', /^unknown parameter __proto__/, [CONNECTIONS, COUNT, SERIES]],
  ['limit=5', /^unknown parameter limit/, [COUNT, SERIES]],
  ['transport=sse', /^unknown parameter transport/, [SERIES]],
  ...['4', '0', 'SSE', 'http', '', 'toString', '1.0'].map((text): [string, RegExp, string[]] => [
    `transport=${text}`,
    /^transport cannot be used: give one of sse, 1, streamable, 2, sessionless, 3, or leave it out/,
    [CONNECTIONS, COUNT]
  ]),
  ...['0', '10001', '-1', '1.5', '1e2', 'ten', 'true', '', '%20', '0x10', '9'.repeat(400)].map(
    (text): [string, RegExp, string[]] => [
      `limit=${text}`,
      /^limit cannot be used: give a whole number from 1 to 10000$/,
      [CONNECTIONS]
    ]
  ),
  ...[
    '',
    'x',
    `${cursor}=`,
    `${cursor}A`,
    ` ${cursor}`,
    Buffer.from('1').toString('base64url'),
    Buffer.from('01.1').toString('base64url'),
    Buffer.from(`1.${'9'.repeat(20)}`).toString('base64url'),
    Buffer.from('999999999999999.1').toString('base64url')
  ].map((text): [string, RegExp, string[]] => [
    `cursor=${encodeURIComponent(text)}`,
    /^cursor cannot be used: give the cursor in the Link header of the previous page/,
    [CONNECTIONS]
  ])
]

void t.test('what cannot be answered', async t => {
  const { app } = startAdmin(t, { store: new MemoryStore([session()]) })
  for (const [query, message, paths = [CONNECTIONS, SERIES]] of refused) {
    for (const path of paths) {
      const response = await app.inject(`${path}?${query}`)
      const body = response.json<{ message: string }>()
      t.match(body, { statusCode: 400, error: 'Bad Request', message }, `${path}?${query.slice(0, 60)}`)
      t.equal(response.statusCode, 400)
    }
  }
})

void t.test('a parameter that is only unusual is answered', async t => {
  const { app } = startAdmin(t, { store: new MemoryStore([session({ endpointId: 'a?b=c%' })]) })
  const ok = async (url: string, length: number) => {
    const response = await app.inject(url)
    t.equal(response.statusCode, 200, url)
    t.equal(response.json<unknown[]>().length, length)
  }
  await ok(`${CONNECTIONS}?endpoint_id=a?b%3Dc%25`, 1)
  await ok(`${CONNECTIONS}?start_time=2026-11-21T00:00:00+02:00`, 1)
  await ok(`${CONNECTIONS}?limit=0005&`, 1)
  await ok(`${CONNECTIONS}?start_time=-30610224000000&end_time=253402300799999`, 1)
})
