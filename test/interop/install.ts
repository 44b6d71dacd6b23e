// Owns what the interop tests need beyond `npm ci`: pinned clients of other projects, each installed once in the cache.
// Run as a program it installs them all, and says in one line each what it cannot install.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { installedChromium } from '../support/chromium.js'

const GO_PROGRAMS = [
  ...['.', './mcpgo', './server'],
  'github.com/modelcontextprotocol/go-sdk/conformance/everything-server'
]
const NODE_FOR_CONFORMANCE = 22
/** LiteLLM takes 40 s on two free CPUs (measured); it may have to share them. */
const INSTALL_TIMEOUT_MS = 600_000

const root = resolve(import.meta.dirname, '../../..')
const sources = join(root, 'test/interop/clients')
const cache = join(root, 'node_modules/.cache/interop')
const run = promisify(execFile)

export const pythonClient = join(sources, 'python/client.py')
export const pythonServer = join(sources, 'python/server.py')
export const protectedPythonServer = join(sources, 'python/protected_server.py')
export const protectedSdkServer = join(sources, 'python/protected_sdk_server.py')
export const keyedPythonServer = join(sources, 'python/keyed_server.py')
export const goClient = join(cache, 'go/client')
export const mcpGoClient = join(cache, 'go/mcpgo')
export const goServer = join(cache, 'go/server')
export const conformanceServer = join(cache, 'go/everything-server')
export const helmRenderer = join(cache, 'helm/helm')
export const composeReader = join(cache, 'compose/compose')
export const rustClient = join(root, 'test/gateways/target/debug/client-rmcp3')
export const nodeLts =
  Number(process.versions.node.split('.')[0]) >= NODE_FOR_CONFORMANCE
    ? process.execPath
    : join(cache, 'node-lts/bin/node')

/** The command that runs a class of `clients/java`. */
export const java = (name: 'Visitor' | 'Server'): string[] => [
  'java',
  '-XX:TieredStopAtLevel=1',
  '-cp',
  ['classes', 'dependency/*'].map(path => join(cache, 'java/target', path)).join(':'),
  name
]

export type PythonPackage =
  'mcp1' | 'mcp2' | 'fastmcp' | 'schemathesis' | 'litellm' | 'contextforge' | 'mcpproxy'

/** A program of an installed Python package. */
export const pythonProgram = (name: PythonPackage, program: string): string =>
  join(cache, name, 'bin', program)

export const python = (name: PythonPackage): string => pythonProgram(name, 'python')

export const schemathesis = pythonProgram('schemathesis', 'schemathesis')
export const schemathesisConfig = join(root, 'test/interop/schemathesis.toml')

/** A file of an installed npm package. */
export const npmFile = (path: string): string => join(cache, 'npm/node_modules', path)

interface Recipe {
  /** Folder in the cache. */
  name: string
  /** What pins it: installed again when one of these files changes. */
  pinnedBy: string[]
  install: (folder: string) => Promise<unknown>
}

const venv = (name: PythonPackage): Recipe => {
  const requirements = join(sources, `python/${name}.txt`)
  return {
    name,
    pinnedBy: [requirements],
    async install(folder) {
      await command('python3', ['-m', 'venv', folder])
      await command(join(folder, 'bin/pip'), ['install', '--quiet', '--requirement', requirements])
    }
  }
}

const recipes: Recipe[] = [
  venv('mcp1'),
  venv('mcp2'),
  venv('fastmcp'),
  venv('schemathesis'),
  venv('litellm'),
  venv('contextforge'),
  venv('mcpproxy'),
  {
    name: 'npm',
    pinnedBy: [join(sources, 'npm/package-lock.json')],
    async install(folder) {
      await cp(join(sources, 'npm'), folder, { recursive: true })
      const quiet = ['--silent', '--no-audit', '--no-fund']
      await command('npm', ['ci', '--ignore-scripts', ...quiet, '--prefix', folder])
    }
  },
  {
    name: 'go',
    pinnedBy: ['go.sum', 'client.go', 'visit/visit.go', 'mcpgo/main.go', 'server/main.go'].map(file =>
      join(sources, 'go', file)
    ),
    install: folder => command('go', ['-C', join(sources, 'go'), 'build', '-o', folder + '/', ...GO_PROGRAMS])
  },
  {
    name: 'java',
    pinnedBy: ['pom.xml', 'Visitor.java', 'Server.java'].map(file => join(sources, 'java', file)),
    async install(folder) {
      await cp(join(sources, 'java'), folder, { recursive: true })
      const goals = ['compile', 'dependency:copy-dependencies']
      await command('mvn', ['--quiet', '--batch-mode', '--file', join(folder, 'pom.xml'), ...goals])
    }
  },
  {
    name: 'helm',
    pinnedBy: [join(root, 'test/interop/helm/go.sum'), join(root, 'test/interop/helm/main.go')],
    install: folder => command('go', ['-C', join(root, 'test/interop/helm'), 'build', '-o', folder + '/'])
  },
  {
    name: 'compose',
    pinnedBy: [join(root, 'test/interop/compose/go.sum'), join(root, 'test/interop/compose/main.go')],
    install: folder => command('go', ['-C', join(root, 'test/interop/compose'), 'build', '-o', folder + '/'])
  },
  ...(nodeLts === process.execPath
    ? []
    : [
        {
          name: 'node-lts',
          pinnedBy: [join(root, '.ci/node-lts'), join(root, '.nvmrc')],
          install: (folder: string) => command(join(root, '.ci/node-lts'), [folder])
        }
      ])
]

async function command(file: string, args: string[]): Promise<void> {
  await run(file, args, { timeout: INSTALL_TIMEOUT_MS })
}

async function installOnce({ name, pinnedBy, install }: Recipe): Promise<void> {
  const hash = createHash('sha256')
  for (const file of pinnedBy) hash.update(await readFile(file))
  const wanted = hash.digest('hex')
  const folder = join(cache, name)
  const stamp = join(folder, '.installed')
  if ((await readFile(stamp, 'utf8').catch(() => undefined)) === wanted) return
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await install(folder)
  await writeFile(stamp, wanted)
}

/** What is wrong, in one line, when `install` fails. */
async function failureOf(name: string, install: () => Promise<unknown>): Promise<string[]> {
  try {
    await install()
    return []
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    return [`interop: ${name} cannot be installed: ${(stderr ?? '').trim() || message}`]
  }
}

if (process.argv[1] === import.meta.filename) {
  // All at once: they mostly wait for the network.
  const outcomes = await Promise.all([
    ...recipes.map(recipe => failureOf(recipe.name, () => installOnce(recipe))),
    failureOf('chromium', () => Promise.resolve(installedChromium()))
  ])
  const failures = outcomes.flat()
  for (const line of failures) console.log(line)
  if (failures.length > 0) {
    console.log(`0 passed, ${failures.length} failed`)
    process.exitCode = 1
  }
}
