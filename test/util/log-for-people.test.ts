// Owns the form of log lines on a terminal, and that nothing in them steers it.
import t from 'tap'
import { lineForPeople } from '../../src/util/log-for-people.js'

const line = (entry: object): string =>
  `${JSON.stringify({ level: 30, time: 0, pid: 1, hostname: 'h', ...entry })}\n`

void t.test('time, level, message, details', t => {
  const shown = lineForPeople(
    line({ msg: 'listening', proxyUrl: 'http://127.0.0.1:8080', n: 2, text: 'a b' }),
    false
  )
  t.match(
    shown,
    /^\d\d:\d\d:\d\d\.\d{3} INFO {2}listening {2}proxyUrl=http:\/\/127\.0\.0\.1:8080 {2}n=2 {2}text="a b"\n$/
  )
  t.match(lineForPeople(line({ level: 40, msg: 'x' }), true), '\u001b[33mWARN \u001b[39m x')
  const failed = lineForPeople(
    line({ level: 50, msg: 'x', err: { message: 'm', stack: 'Error: m\n  at f' } }),
    false
  )
  t.match(failed, /ERROR x\n {4}Error: m\n {6}at f\n$/)
  t.equal(lineForPeople('no JSON\n', false), 'no JSON\n')
  t.end()
})

void t.test('no control characters of strangers', t => {
  const evil = '\u001b[2J\u009b1m\u202e\r'
  const err = { stack: evil }
  for (const text of [
    lineForPeople(line({ msg: evil, path: evil, err }), false),
    lineForPeople(`${evil}\n`, false)
  ])
    t.notMatch(text, /[\u001b\u009b\u202e\r]/)
  t.end()
})
