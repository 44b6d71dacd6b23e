// Owns how the program is compiled. Without arguments: all of it, tests included, as far as it changed. `--if-stale`: the
// program alone and without checking its types, unless dist/ has been compiled from these very files; this takes a third of the
// time. `--package`: what an installation consists of, from scratch, with types instead of source maps.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const STAMP = 'dist/.compiled'
const COMPILER = 'node_modules/typescript/bin/tsc'
const BUNDLER = 'node_modules/.bin/esbuild'

/** A hash of all that dist/src is compiled from. */
function sourcesHash() {
  const hash = createHash('sha256')
  const sources = readdirSync('src', { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
  const files = ['build.js', 'package-lock.json', 'tsconfig.json', ...sources]
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}

/** Whether dist/ has been compiled from the files as they are now. */
const isFresh = () =>
  existsSync('dist/src/main.js') && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === sourcesHash()

/** Runs a command. What it prints goes to standard error, as the standard output of `npm pack` is the name of the package. */
const run = (file, ...args) => execFileSync(file, args, { stdio: ['ignore', 2, 2] })

/** Puts the parts of OpenTelemetry that are used into the one file that imports them, with their license beside it. */
function bundleOpenTelemetry() {
  const { version, license } = JSON.parse(
    readFileSync('node_modules/@opentelemetry/sdk-trace-base/package.json', 'utf8')
  )
  const options = [
    '--bundle',
    '--platform=node',
    '--main-fields=module,main',
    '--target=node20',
    '--format=esm',
    '--log-level=warning'
  ]
  const head = `// Parts of https://github.com/open-telemetry/opentelemetry-js ${version} (${license}): LICENSE-opentelemetry beside this file.`
  const to = 'dist/src/telemetry'
  run(
    BUNDLER,
    'src/telemetry/opentelemetry.ts',
    ...options,
    `--banner:js=${head}`,
    `--outfile=${to}/opentelemetry.js`
  )
  cpSync('node_modules/@opentelemetry/api/LICENSE', `${to}/LICENSE-opentelemetry`)
}

function compile(mode) {
  const hash = sourcesHash()
  rmSync(STAMP, { force: true })
  if (mode === '--package') {
    // The environment of `npm pack --dry-run` would make this one a dry run too.
    if (!existsSync(COMPILER)) run('npm', 'ci', '--no-dry-run', '--no-audit', '--no-fund')
    rmSync('dist', { recursive: true, force: true })
    run('node', COMPILER, '-b', 'tsconfig.package.json', 'src/dashboard', '--sourceMap', 'false')
    // The next build for development knows nothing of this one and compiles all.
    for (const name of readdirSync('dist').filter(name => name.startsWith('.'))) rmSync(join('dist', name))
  } else if (mode === '--if-stale') {
    console.error('Compiling the program. The next start does not need this.')
    for (const [project, info] of [
      ['tsconfig.package.json', '.tsbuildinfo-start'],
      ['src/dashboard', '.tsbuildinfo-start-dashboard']
    ]) {
      const options = ['--noCheck', '--declaration', 'false', '--sourceMap', 'true']
      run('node', COMPILER, '-p', project, ...options, '--tsBuildInfoFile', join('dist', info))
    }
  } else run('node', COMPILER, '-b', '.', 'src/dashboard')
  cpSync('src/dashboard/page', 'dist/src/dashboard/page', { recursive: true })
  bundleOpenTelemetry()
  writeFileSync(STAMP, hash)
}

process.chdir(import.meta.dirname)
const [mode] = process.argv.slice(2)
try {
  if (mode !== '--if-stale' || !isFresh()) compile(mode)
} catch (error) {
  // The compiler has said what is wrong.
  process.exit(error.status ?? 1)
}
