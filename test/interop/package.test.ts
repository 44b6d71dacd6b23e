// Owns that a fresh clone makes a package, and that the package works where nothing but npm is: it is installed into an empty
// folder, counts a session and shows the dashboard.
import { execFile, type ExecFileOptions } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { initializeOf } from '../support/legacy-server.js'
import { Turnstile } from '../support/turnstile.js'

const root = join(import.meta.dirname, '../../..')
const folder = t.testdir({ clone: {}, empty: {} })
const clone = join(folder, 'clone')
const empty = join(folder, 'empty')
/** A compilation, and an installation from a registry, on a busy machine. */
const TIMEOUT_MS = 240_000
t.setTimeout(2 * TIMEOUT_MS)

const run = async (cwd: string, file: string, ...args: string[]): Promise<string> => {
  const options: ExecFileOptions = { cwd, timeout: TIMEOUT_MS, encoding: 'utf8' }
  return String((await promisify(execFile)(file, args, options)).stdout)
}

interface Packed {
  filename: string
  files: { path: string }[]
}

await t.test('the package of a fresh clone holds the program and nothing that leads nowhere', async t => {
  const tracked = (await run(root, 'git', 'ls-files', '-z', '--', '.', ':!test')).split('\0').filter(Boolean)
  for (const path of tracked)
    if (existsSync(join(root, path))) cpSync(join(root, path), join(clone, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'))
  const [packed] = JSON.parse(await run(clone, 'npm', 'pack', '--json', '--pack-destination', empty)) as [
    Packed
  ]
  const paths = packed.files.map(({ path }) => path)
  t.strictSame(
    ['dist/src/main.js', 'dist/src/dashboard/page/index.html', 'schema.sql', 'README.md', 'LICENSE'].filter(
      path => !paths.includes(path)
    ),
    []
  )
  t.strictSame(
    paths.filter(path => /\.map$|^test|^dist\/test|\.tsbuildinfo/.test(path)),
    []
  )
  const withMaps = paths.filter(
    path => path.endsWith('.js') && readFileSync(join(clone, path), 'utf8').includes('\n//# sourceMappingURL')
  )
  t.strictSame(withMaps, [], 'no source maps to sources that are not there')
  await run(empty, 'npm', 'init', '--yes')
  await run(empty, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', packed.filename)
})

await t.test('npm start compiles nothing that is compiled', async t => {
  const before = readFileSync(join(clone, 'dist/.compiled'), 'utf8')
  t.match(await run(clone, 'npm', 'start', '--', '--version'), /\d+\.\d+\.\d+/)
  t.equal(readFileSync(join(clone, 'dist/.compiled'), 'utf8'), before)
  const notes = readdirSync(join(clone, 'dist')).filter(name => name.startsWith('.tsbuildinfo'))
  t.strictSame(notes, [], 'the compiler did not run')
})

await t.test('npm start compiles the program alone, without tests', async t => {
  rmSync(join(clone, 'dist'), { recursive: true })
  t.match(await run(clone, 'npm', 'start', '--', '--version'), /\d+\.\d+\.\d+/)
  t.ok(existsSync(join(clone, 'dist/src/dashboard/page/index.html')))
  t.notOk(existsSync(join(clone, 'dist/test')))
})

await t.test('the installed program runs by its name, and gives its schemas and types', async t => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  t.equal((await run(empty, 'npx', '--no-install', 'mcp-turnstile', '--version')).trim(), version)
  const code = "import('mcp-turnstile').then(({ ConnectionRow }) => console.log(ConnectionRow.type))"
  t.equal((await run(empty, process.execPath, '-e', code)).trim(), 'object')
  const { types } = JSON.parse(
    readFileSync(join(empty, 'node_modules/mcp-turnstile/package.json'), 'utf8')
  ) as { types: string }
  t.ok(existsSync(join(empty, 'node_modules/mcp-turnstile', types)))
})

await t.test('the installed program counts a session and shows the dashboard', async t => {
  const gateway = await startFakeGateway()
  const program = join(empty, 'node_modules/mcp-turnstile/dist/src/main.js')
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), [], [], program)
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const response = await fetch(`${turnstile.proxyUrl}/stream/e1`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify(initializeOf('package'))
  })
  t.equal(response.status, 200)
  await response.body?.cancel()
  await turnstile.shipped()
  t.equal(await turnstile.count('e1'), 1)
  const page = await (await fetch(turnstile.adminUrl)).text()
  const assets = [...page.matchAll(/(?:src|href)="([^":]+)"/g)].map(match => match[1]!)
  t.ok(assets.length > 1)
  for (const asset of assets) t.equal((await fetch(new URL(asset, turnstile.adminUrl))).status, 200, asset)
})
