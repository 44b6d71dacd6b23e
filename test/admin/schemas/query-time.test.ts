// Owns the tests of how instants in queries are read.
import t from 'tap'
import { parseTime } from '../../../src/admin/schemas/query-time.js'
import { Random } from '../../support/random.js'

const FIRST = Date.UTC(1000, 0, 1)
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

const readable: [text: string, iso: string][] = [
  ['2026-11-21T12:34:56Z', '2026-11-21T12:34:56.000Z'],
  ['2026-11-21t12:34:56z', '2026-11-21T12:34:56.000Z'],
  ['2026-11-21 12:34:56Z', '2026-11-21T12:34:56.000Z'],
  ['2026-11-21 12:34:56', '2026-11-21T12:34:56.000Z'],
  ['2026-11-21T12:34:56', '2026-11-21T12:34:56.000Z'],
  ['2026-11-21 12:34:56.7', '2026-11-21T12:34:56.700Z'],
  ['2026-11-21 12:34:56.789', '2026-11-21T12:34:56.789Z'],
  ['2026-11-21T12:34:56.789999999Z', '2026-11-21T12:34:56.789Z'],
  ['2026-11-21T12:34:56+02:00', '2026-11-21T10:34:56.000Z'],
  ['2026-11-21T12:34:56 02:00', '2026-11-21T10:34:56.000Z'],
  ['2026-11-21T12:34:56-23:59', '2026-11-22T12:33:56.000Z'],
  ['2026-11-21T12:34:56-00:00', '2026-11-21T12:34:56.000Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ['2000-02-29 00:00:00', '2000-02-29T00:00:00.000Z'],
  ['1000-01-01 00:00:00', '1000-01-01T00:00:00.000Z'],
  ['9999-12-31 23:59:59.999', '9999-12-31T23:59:59.999Z'],
  ['0', '1970-01-01T00:00:00.000Z'],
  ['-1', '1969-12-31T23:59:59.000Z'],
  ['1795264496', '2026-11-21T12:34:56.000Z'],
  ['99999999999', '5138-11-16T09:46:39.000Z'],
  ['100000000000', '1973-03-03T09:46:40.000Z'],
  ['1795264496789', '2026-11-21T12:34:56.789Z'],
  [String(FIRST), '1000-01-01T00:00:00.000Z'],
  [String(LAST), '9999-12-31T23:59:59.999Z']
]

const unreadable = [
  [
    'no time',
    '',
    ' ',
    'now',
    'Z',
    'NaN',
    'Infinity',
    '1e12',
    '0x10',
    '1.5',
    '+1',
    '12:00:00',
    'Sat, 21 Nov 2026 12:00:00 GMT'
  ],
  [
    'parts missing',
    '2026-11-21',
    '2026-11-21T12:34',
    '2026-11-21T12:34Z',
    '2026-11-21T',
    '2026-11-21T12:34:56.Z'
  ],
  [
    'another form',
    '2026-11-21T12:34:56+0200',
    '2026-11-21T12:34:56+02',
    '2026-1-2 3:4:5',
    '20261121T123456Z',
    '2026/11/21 12:34:56'
  ],
  [
    'signs and space around',
    ' 2026-11-21T12:34:56Z',
    '2026-11-21T12:34:56Z\n',
    '2026-11-21  12:34:56',
    '+2026-11-21T12:34:56Z',
    '２026-11-21T12:34:56Z'
  ],
  [
    'days that do not exist',
    '2026-02-30T00:00:00Z',
    '2026-02-29 00:00:00',
    '2100-02-29 00:00:00',
    '2026-04-31 00:00:00',
    '2026-13-01 00:00:00',
    '2026-00-01 00:00:00',
    '2026-01-00 00:00:00',
    '2026-01-32 00:00:00'
  ],
  [
    'hours that do not exist',
    '2026-11-21T24:00:00Z',
    '2026-11-21T25:00:00Z',
    '2026-11-21T12:60:00Z',
    '2026-12-31T23:59:60Z'
  ],
  ['offsets that do not exist', '2026-11-21T12:34:56+24:00', '2026-11-21T12:34:56-01:60'],
  [
    'out of what DATETIME holds',
    '0999-12-31 23:59:59.999',
    '0000-01-01 00:00:00',
    '1000-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    String(FIRST - 1),
    String(LAST + 1),
    '9'.repeat(15),
    '9'.repeat(400)
  ]
] as const

void t.test('readable', t => {
  for (const [text, iso] of readable) {
    const at = parseTime(text)
    t.equal(at === undefined ? undefined : new Date(at).toISOString(), iso, text)
  }
  t.end()
})

for (const [why, ...texts] of unreadable) {
  void t.test(why, t => {
    for (const text of texts) t.equal(parseTime(text), undefined, JSON.stringify(text))
    t.end()
  })
}

void t.test('any instant, written in any of the forms, is read as itself', t => {
  const random = new Random()
  t.comment(`TEST_SEED=${random.seed}`)
  const wrong: string[] = []
  for (let i = 0; i < 20_000; i++) {
    const at = FIRST + Math.floor(random.next() * (LAST - FIRST + 1))
    const offset = random.int(-(23 * 60 + 59), 23 * 60 + 59)
    const local = new Date(at + offset * 60_000).toISOString()
    const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')
    const minutes = String(Math.abs(offset) % 60).padStart(2, '0')
    const utc = new Date(at).toISOString()
    const texts = [utc, utc.slice(0, 23), utc.slice(0, 23).replace('T', ' ')]
    // Shorter ones are seconds.
    if (Math.abs(at) >= 1e11) texts.push(String(at))
    if (local.length === 24) texts.push(`${local.slice(0, 23)}${offset < 0 ? '-' : '+'}${hours}:${minutes}`)
    wrong.push(...texts.filter(text => parseTime(text) !== at))
  }
  t.strictSame(wrong, [], '20,000 instants')
  t.end()
})

void t.test('whatever the day, hour and offset: read exactly when they exist', t => {
  const random = new Random()
  t.comment(`TEST_SEED=${random.seed}`)
  const two = (n: number) => String(n).padStart(2, '0')
  const wrong: string[] = []
  for (let i = 0; i < 50_000; i++) {
    const year = random.int(1001, 9998)
    const [month, day] = [random.int(0, 14), random.int(0, 33)]
    const [hour, minute, second] = [random.int(0, 26), random.int(0, 62), random.int(0, 62)]
    const [offsetHour, offsetMinute] = [random.int(0, 26), random.int(0, 62)]
    const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
    const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0
    const isTime = day >= 1 && day <= days && hour <= 23 && minute <= 59 && second <= 59
    const exists = isTime && offsetHour <= 23 && offsetMinute <= 59
    const text = `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}+${two(offsetHour)}:${two(offsetMinute)}`
    if ((parseTime(text) !== undefined) !== exists) wrong.push(text)
  }
  t.strictSame(wrong, [], '50,000 texts')
  t.end()
})
