// Owns which test files a run consists of, which of them need the machine for themselves, and which need the database.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'

/** Folders that are run by their own commands only: they need more than `npm ci` brings. */
const separate = [join('test', 'interop'), join('test', 'otel'), join('test', 'bench')]

/** Compiled files, relative to the root of the repository. */
export interface TestFiles {
  /** Several run at the same time: these mostly wait for timers and for processes. */
  sideBySide: string[]
  /** Two run at the same time, after the others: they wait even more, and bear no busy machine. */
  inPairs: string[]
  /** One runs at a time, after the others. */
  alone: string[]
}

/** Why a file runs alone. All others must get on with a busy machine. */
const reasonsToBeAlone: Record<string, string> = {
  'test/app/flat-memory.test.ts': 'memory is measured while the proxy is as busy as it can be',
  'test/interop/dashboard/crowd.test.ts': 'frames of the browser are counted',
  'test/interop/session-less.test.ts': 'clients must not pause for a second between two requests',
  'test/interop/suspicion.test.ts': 'ten thousand sessions must be found gone within ten seconds',
  'test/proxy/upstream/delayed-acks.test.ts': 'delays of 40 ms are told from others',
  'test/proxy/upstream/serial-upstream.test.ts': 'responses within 250 ms are told from later ones'
}

/** Why a file runs beside one other at most. */
const reasonsForPairs: Record<string, string> = {
  'test/admin/gateway/gateway-client.test.ts':
    'a hundred endpoints must tell their tools within five seconds',
  'test/app/kill-9.test.ts': 'a process is started fifty times, within eight minutes',
  'test/app/presence.test.ts': 'sessions idle after two seconds',
  'test/app/visits.test.ts': 'clients must not pause for three seconds between two requests',
  'test/proxy/upstream/timeouts.test.ts': 'timeouts of 200 ms must not run out by themselves',
  'test/upkeep/suspect-checker.test.ts': 'sessions must be found gone within two seconds',
  'test/upkeep/upstream-watch.test.ts': 'responses within 250 ms are told from later ones'
}

/**
 * The tests in the files and folders of `paths`, or all that `npm test` runs. They are found by their sources, so that
 * the old output of a deleted test never runs. Throws where there are none.
 */
export function findTestFiles(root: string, paths: readonly string[]): TestFiles {
  const sources =
    paths.length > 0 ? paths.flatMap(path => testsIn(relative(root, path))) : testsIn('test', separate)
  if (sources.length === 0) throw new Error(`no tests in ${paths.join(' ')}`)
  const isIn = (reasons: object) => (source: string) => source.replaceAll(sep, '/') in reasons
  const [inPairs, alone] = [sources.filter(isIn(reasonsForPairs)), sources.filter(isIn(reasonsToBeAlone))]
  const sideBySide = sources.filter(source => !inPairs.includes(source) && !alone.includes(source))
  return { sideBySide: sideBySide.map(compiled), inPairs: inPairs.map(compiled), alone: alone.map(compiled) }
}

function testsIn(path: string, except: string[] = []): string[] {
  if (!existsSync(path)) throw new Error(`no such test: ${path}`)
  if (!statSync(path).isDirectory()) return [path]
  const inside = readdirSync(path, { recursive: true, encoding: 'utf8' }).map(file => join(path, file))
  return inside
    .filter(file => file.endsWith('.test.ts') && !except.some(folder => file.startsWith(folder + sep)))
    .sort()
}

const compiled = (source: string): string => join('dist', source.replace(/\.ts$/, '.js'))

/** Whether one of the compiled files imports `wanted`, itself or through what it imports. */
export function isImported(wanted: string, files: readonly string[], seen = new Set<string>()): boolean {
  return files.some(file => {
    if (file === wanted) return true
    if (seen.has(file)) return false
    seen.add(file)
    const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b(?:.* from)? '(\.[^']+)'/gm)
    return isImported(
      wanted,
      Array.from(imports, ([, path]) => join(dirname(file), path!)),
      seen
    )
  })
}
