// Owns what the log says of an outage: a line at its beginning, one a minute, and one at its end.
import t from 'tap'
import type { Log } from '../../src/util/log.js'
import { OutageLog } from '../../src/util/outage-log.js'

void t.test('an outage of two minutes is four lines, however often it is tried', t => {
  let now = 0
  const lines: object[] = []
  const at =
    (level: string) =>
    (details: object, message: string): void =>
      void lines.push({ level, message, ...details })
  const log: Log = { error: at('error'), warn: at('warn'), info: at('info') }
  const outage = new OutageLog(log, { failing: 'away', recovered: 'back' }, () => now)
  outage.recovered()
  t.strictSame(lines, [], 'nothing failed')
  for (; now < 120_001; now += 1_000) outage.failed({ reason: `at ${now}` })
  outage.recovered()
  t.strictSame(lines, [
    { level: 'warn', message: 'away', reason: 'at 0' },
    { level: 'warn', message: 'away', reason: 'at 60000', failedForMs: 60_000, failures: 61 },
    { level: 'warn', message: 'away', reason: 'at 120000', failedForMs: 120_000, failures: 121 },
    { level: 'info', message: 'back', failedForMs: 121_000, failures: 121 }
  ])
  outage.failed({ reason: 'again' })
  t.match(lines.at(-1), { level: 'warn', reason: 'again' }, 'the next outage is told at once')
  t.end()
})
