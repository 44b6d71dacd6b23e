// Owns the proof that lines of one kind are sampled: the first at once, then one with a count each second.
import { mock } from 'node:test'
import t from 'tap'
import { type Log, ThrottledLog } from '../../src/util/log.js'

void t.test(
  'of many lines the first of each kind is logged at once, the others as a count each second',
  t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const lines: unknown[] = []
    const at =
      (level: string) =>
      (details: object, message: string): void =>
        void lines.push({ level, message, ...details })
    const real: Log = { error: at('error'), warn: at('warn'), info: at('info') }
    const log = new ThrottledLog(real)
    const refuse = (count: number): void => {
      for (let i = 1; i <= count; i++) log.warn({ path: `/${i}` }, 'refused')
    }

    refuse(4_000)
    log.info({}, 'refused')
    log.error({}, 'another')
    t.strictSame(lines.splice(0), [
      { level: 'warn', message: 'refused', path: '/1' },
      { level: 'info', message: 'refused' },
      { level: 'error', message: 'another' }
    ])
    mock.timers.tick(999)
    t.strictSame(lines, [])
    mock.timers.tick(1)
    t.strictSame(lines.splice(0), [{ level: 'warn', message: 'refused', path: '/4000', repeated: 3_999 }])
    refuse(2)
    mock.timers.tick(1_000)
    t.strictSame(lines.splice(0), [{ level: 'warn', message: 'refused', path: '/2', repeated: 2 }])
    mock.timers.tick(1_000)
    t.strictSame(lines, [], 'nothing to count')
    refuse(1)
    t.strictSame(lines, [{ level: 'warn', message: 'refused', path: '/1' }], 'a first one again')
    lines.length = 0

    const loose = new ThrottledLog(real, 2)
    for (let i = 1; i <= 5; i++) loose.warn({ i }, 'failed')
    mock.timers.tick(1_000)
    t.strictSame(
      lines.map(line => (line as { i: number }).i),
      [1, 2, 5]
    )
    t.match(lines.at(-1), { repeated: 3 })
    t.end()
  }
)
