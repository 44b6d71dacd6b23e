// Owns a test run: one database server for all files, tap over the compiled tests, a short account of what they did, and
// the last line `N passed, N failed`: assertions that really ran, without the skipped and the `todo` ones.
// Arguments: test files or folders (`test/proxy`, `test/proxy/abort.test.ts`), and options for tap (`--grep=delete`).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { join, relative, sep } from 'node:path'
import { inspect } from 'node:util'
import { Parser, type Result } from 'tap-parser'
import { startDatabase, type Database } from './support/mariadb.js'

/** Runs of their own: they need more than `npm ci` brings, or the machine for themselves. */
const separate = [join('test', 'interop'), join('test', 'bench')]
const fileTimeoutS = 300
/** What tap tells of a file that ended badly, the same for all: not printed. */
const ofTheProcess = ['stdio', 'cwd', 'externalID', 'command', 'args']

const root = join(import.meta.dirname, '..', '..')
process.chdir(root)

let passed = 0
let failed = 0
let database: Database | undefined
try {
  const args = process.argv.slice(2)
  const files = filesToRun(args.filter(arg => !arg.startsWith('-')))
  database = await startDatabase()
  process.env['TEST_MYSQL_URL'] = database.url
  const code = await runTap([...args.filter(arg => arg.startsWith('-')), ...files])
  if (code !== 0 && failed === 0) throw new Error(`tap ended with ${code}`)
  if (passed + failed === 0) throw new Error('no test ran')
} catch (error) {
  console.log(error instanceof Error ? error.message : error)
  failed++
} finally {
  await database?.stop()
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

/** The compiled files; found by their sources, so that a deleted test's old output never runs. */
function filesToRun(paths: string[]): string[] {
  const sources =
    paths.length > 0 ? paths.flatMap(path => testsIn(relative(root, path))) : testsIn('test', separate)
  if (sources.length === 0) throw new Error(`no tests in ${paths.join(' ')}`)
  return sources.map(source => join('dist', source.replace(/\.ts$/, '.js')))
}

function testsIn(path: string, except: string[] = []): string[] {
  if (!existsSync(path)) throw new Error(`no such test: ${path}`)
  if (!statSync(path).isDirectory()) return [path]
  const inside = readdirSync(path, { recursive: true, encoding: 'utf8' }).map(file => join(path, file))
  return inside
    .filter(file => file.endsWith('.test.ts') && !except.some(folder => file.startsWith(folder + sep)))
    .sort()
}

/** Answers tap's exit code. A signal that should end this run ends tap's process group, so the test files with it. */
async function runTap(args: string[]): Promise<number> {
  const options = ['--disable-coverage', '--reporter=tap', `--timeout=${fileTimeoutS}`]
  const tap = spawn(process.execPath, [join('node_modules', '.bin', 'tap'), 'run', ...options, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.kill(-tap.pid!, 'SIGKILL'))
  }
  const parser = new Parser()
  parser.on('pass', () => passed++)
  parser.on('fail', (result: Result) => {
    failed++
    console.log(describeFailure(result))
  })
  parser.on('assert', (file: Result) => {
    console.log(`${file.ok ? 'ok  ' : 'FAIL'} ${file.name} (${((file.time ?? 0) / 1000).toFixed(1)} s)`)
  })
  parser.on('bailout', (reason: string) => console.log(`bail out: ${reason}`))
  printRemarks(parser)
  tap.stdout.pipe(parser)
  const ended = once(tap, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await once(parser, 'complete')
  const [code, signal] = await ended
  return code ?? 128 + constants.signals[signal!]
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
