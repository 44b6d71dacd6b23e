// Owns the proof that writing a line never waits: it is short, and what cannot be written waits in a bounded queue or is counted.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { copyLines, DroppedLines, LineWriter } from '../../src/util/log-lines.js'

/** A pipe: the descriptor to write to, which waits for its reader, and what reads all that is in it now. */
function pipe(t: Test): { fd: number; read: () => string; stopReading: () => void } {
  const path = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const fd = openSync(path, constants.O_WRONLY)
  t.teardown(() => closeSync(fd))
  const buffer = Buffer.alloc(1_048_576)
  return {
    fd,
    read() {
      try {
        return buffer.toString('utf8', 0, readSync(reader, buffer))
      } catch {
        return ''
      }
    },
    stopReading: () => closeSync(reader)
  }
}

const LINE = `${'x'.repeat(999)}\n`

void t.test(
  'a reader that stops and goes on gets what waited, whole and in order; the rest is counted',
  async t => {
    const { fd, read } = pipe(t)
    const dropped = new DroppedLines()
    const lines = new LineWriter(fd, dropped)
    for (let i = 0; i < 2_000; i++) lines.write(`${i} ${LINE}`)
    t.ok(
      dropped.count > 800 && dropped.count < 1_000,
      `1 MiB and a pipe of 64 kB are kept, ${dropped.count} are dropped`
    )
    const kept = 2_000 - dropped.count
    let text = ''
    while (text.split('\n').length <= kept) {
      text += read()
      await sleep(10)
    }
    t.strictSame(
      text.trimEnd().split('\n'),
      Array.from({ length: kept }, (_, i) => `${i} ${LINE.trimEnd()}`)
    )
    lines.write('at once\n')
    t.equal(read(), 'at once\n')
    t.equal(2_000 - dropped.count, kept)
  }
)

void t.test('what nobody will read is dropped at once, and counted for all threads', t => {
  const { fd, stopReading } = pipe(t)
  const dropped = new DroppedLines()
  const lines = new LineWriter(fd, new DroppedLines(dropped.buffer))
  stopReading()
  for (let i = 0; i < 10; i++) lines.write(LINE)
  t.equal(dropped.count, 10)
  t.end()
})

void t.test('on a full disk lines wait too', { skip: process.platform !== 'linux' }, t => {
  const fd = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(fd))
  const dropped = new DroppedLines()
  const lines = new LineWriter(fd, dropped)
  for (let i = 0; i < 2_000; i++) lines.write(LINE)
  t.ok(dropped.count > 900 && dropped.count < 1_000, `${dropped.count} of 2,000 are dropped`)
  t.end()
})

void t.test('no line is longer than 2 kB, and it stays JSON that says what happened', t => {
  const path = join(t.testdir(), 'log')
  const lines = new LineWriter(openSync(path, 'a'), new DroppedLines())
  const logger = pino({}, lines)
  const long = (text: string): string => text.repeat(65_536)
  logger.warn({ path: long('/x') }, 'a long path')
  logger.warn({ path: long('日本') }, 'not ASCII')
  logger.warn({ path: long('"\u0001') }, 'escapes')
  logger.error(Object.assign(new Error(long('why ')), { cause: new Error(long('because ')) }), 'an error')
  logger.info({ deep: Array.from({ length: 30 }, () => ({ a: long('b') })) }, 'deep')
  logger.info(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`field${i}`, i])), 'many fields')
  logger.info(long('message '))
  lines.write(`${long('no JSON ')}\n`)
  const written = readFileSync(path, 'utf8').trimEnd().split('\n')
  t.strictSame(
    written.filter(line => Buffer.byteLength(line) > 2_048),
    []
  )
  const entries = written.slice(0, -1).map(line => JSON.parse(line) as Record<string, unknown>)
  t.strictSame(
    entries.map(({ msg }) => String(msg).slice(0, 11)),
    ['a long path', 'not ASCII', 'escapes', 'an error', 'deep', 'many fields', 'message mes']
  )
  t.match(entries[0]!['path'], /^(\/x){250}…$/)
  t.match(written.at(-1), /^no JSON .*…$/)
  t.end()
})

void t.test('lines of another process are copied whole, however they come', t => {
  const path = join(t.testdir(), 'log')
  const from = new PassThrough()
  copyLines(from, new LineWriter(openSync(path, 'a'), new DroppedLines()))
  from.on('end', () => {
    t.equal(readFileSync(path, 'utf8'), 'first\nsécond\nlast\n')
    t.end()
  })
  const bytes = Buffer.from('first\nsécond\nlast')
  for (const byte of bytes) from.write(Buffer.from([byte]))
  from.end()
})

void t.test('many lines at once, and another file from then on', t => {
  const directory = t.testdir()
  const [one, two] = [join(directory, 'one'), join(directory, 'two')]
  const dropped = new DroppedLines()
  const lines = new LineWriter(openSync(one, 'a'), dropped)
  lines.writeLines('a\nb\n', 2)
  lines.redirect(openSync(two, 'a'))
  lines.writeLines('c\n', 1)
  t.equal(readFileSync(one, 'utf8'), 'a\nb\n')
  t.equal(readFileSync(two, 'utf8'), 'c\n')
  lines.writeLines('x'.repeat(2_000_000), 7)
  t.equal(dropped.count, 7)
  t.end()
})
