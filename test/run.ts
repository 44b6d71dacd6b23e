// Owns a test run: tap over the compiled tests, one database server for all files that need one, a short account of what
// the tests did, and the last line `N passed, N failed`: assertions that really ran, without the skipped and the `todo`
// ones. A file that failed runs once more, alone, since a busy machine can make a test too late; the second run is the one
// that counts, and both are printed. Arguments: test files or folders (`test/proxy`, `test/proxy/abort.test.ts`), options for tap (`--grep=delete`).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Parser, type Result } from 'tap-parser'
import { startDatabase, type Database } from './support/mariadb.js'
import { findTestFiles, isImported } from './test-files.js'

const fileTimeoutS = 600
/** Test files that run at the same time: they wait for more than half of their time. */
const maxJobs = 2 * availableParallelism()
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** What tap tells of a file that ended badly, the same for all: not printed. */
const ofTheProcess = ['stdio', 'cwd', 'externalID', 'command', 'args']

const root = join(import.meta.dirname, '..', '..')
process.chdir(root)

/** By file. A file that runs again has the counts of its last run. */
const counts = new Map<string, { passed: number; failed: number }>()
/** 1: something ended the run before its time. */
let brokenOff = 0
let database: Database | undefined
try {
  const args = process.argv.slice(2)
  const options = args.filter(arg => arg.startsWith('-'))
  const paths = args.filter(arg => !arg.startsWith('-'))
  const { sideBySide, inPairs, alone } = findTestFiles(root, paths)
  if (isImported(join('dist', 'test', 'support', 'mariadb.js'), [...sideBySide, ...inPairs, ...alone])) {
    database = await startDatabase()
    process.env['TEST_MYSQL_URL'] = database.url
  }
  await runTap(sideBySide, maxJobs, options)
  await runTap(inPairs, 2, options)
  await runTap(alone, 1, options)
  const again = [...sideBySide, ...inPairs, ...alone].filter(hasFailed)
  for (const file of again) counts.delete(file)
  await runTap(again, 1, options)
  for (const file of again.filter(file => !hasFailed(file)))
    console.log(`flaky: ${file} passed in its second run`)
  if (sum('passed') + sum('failed') === 0) throw new Error('no test ran')
} catch (error) {
  console.log(error instanceof Error ? error.message : error)
  brokenOff++
} finally {
  await database?.stop()
  // Tap itself would remove a test's folder before the test's teardown stops the processes that work in it.
  rmSync(join(root, '.tap', 'fixtures'), { recursive: true, force: true })
}
const failed = sum('failed') + brokenOff
console.log(`${sum('passed')} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function sum(key: 'passed' | 'failed'): number {
  return [...counts.values()].reduce((total, count) => total + count[key], 0)
}

function hasFailed(file: string): boolean {
  return (counts.get(file)?.failed ?? 0) > 0
}

/** The compiled test file that a result is of; for one that took too long, tap has a result beside it. */
function fileOf({ fullname, diag }: Result): string {
  const { expired } = (diag ?? {}) as { expired?: string }
  return fullname === 'timeout!' && expired !== undefined ? expired : fullname.split(' > ', 1)[0]!
}

function count(result: Result, key: 'passed' | 'failed'): void {
  const file = fileOf(result)
  const of = counts.get(file) ?? { passed: 0, failed: 0 }
  of[key]++
  counts.set(file, of)
}

/** Counts what passed and failed. Throws when tap ended badly for another reason than a failed test. */
async function runTap(files: string[], jobs: number, options: string[]): Promise<void> {
  if (files.length === 0) return
  const own = [
    '--disable-coverage',
    '--save-fixture',
    '--reporter=tap',
    `--timeout=${fileTimeoutS}`,
    `--jobs=${jobs}`
  ]
  const tap = spawn(
    process.execPath,
    [join('node_modules', '.bin', 'tap'), 'run', ...own, ...options, ...files],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit']
    }
  )
  // A signal that should end this run ends tap's process group, so the test files with it.
  const endTap = (): void => {
    try {
      process.kill(-tap.pid!, 'SIGKILL')
    } catch {
      // The group has ended.
    }
  }
  for (const signal of endSignals) process.on(signal, endTap)
  const parser = new Parser()
  parser.on('pass', (result: Result) => count(result, 'passed'))
  parser.on('fail', (result: Result) => {
    count(result, 'failed')
    console.log(describeFailure(result))
  })
  parser.on('assert', (file: Result) => {
    // It broke off, rather than that an assertion failed.
    if (!file.ok && !hasFailed(fileOf(file))) count(file, 'failed')
    console.log(`${file.ok ? 'ok  ' : 'FAIL'} ${file.name} (${((file.time ?? 0) / 1000).toFixed(1)} s)`)
  })
  parser.on('bailout', (reason: string) => console.log(`bail out: ${reason}`))
  printRemarks(parser)
  tap.stdout.pipe(parser)
  const ended = once(tap, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await once(parser, 'complete')
  const [code, signal] = await ended
  for (const signal of endSignals) process.off(signal, endTap)
  // What a failed test left behind, if anything.
  endTap()
  if (signal ?? (code !== 0 && !files.some(hasFailed))) throw new Error(`tap ended with ${signal ?? code}`)
}

/** What tests print and their comments (seeds, measurements), without what tap adds. */
function printRemarks(parser: Parser): void {
  parser.on('extra', (text: string) => process.stdout.write(text.trimStart()))
  parser.on('child', (child: Parser) => {
    child.on('comment', (text: string) => {
      if (!/^\s*# (time=|Subtest: )/.test(text)) process.stdout.write(text.trimStart())
    })
    printRemarks(child)
  })
}

function describeFailure({ fullname, diag }: Result): string {
  const { at, diff, stack, source, ...others } = (diag ?? {}) as Record<string, unknown>
  const { fileName, lineNumber } = (at ?? {}) as { fileName?: string; lineNumber?: number }
  const rest = Object.entries(others).filter(([key]) => !ofTheProcess.includes(key))
  const details = [diff, stack ?? source, ...rest.map(([key, value]) => `${key}: ${inspect(value)}`)]
  const texts = details
    .filter(text => typeof text === 'string')
    .map(text => text.trimEnd().replace(/^/gm, '    '))
  return [`\nnot ok: ${fullname}${fileName ? ` (${fileName}:${lineNumber ?? '?'})` : ''}`, ...texts, ''].join(
    '\n'
  )
}
