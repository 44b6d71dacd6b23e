// Owns what an installation brings: no code that runs while packages are installed, and none of what only one list of tools
// would need.
import { readFileSync } from 'node:fs'
import t from 'tap'

interface Lock {
  packages: Record<string, { dev?: boolean; hasInstallScript?: boolean; resolved?: string }>
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
const installed = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true)

void t.test('no package of an installation runs a script when it is installed', t => {
  t.ok(installed.length > 100)
  t.strictSame(
    installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path),
    []
  )
  t.end()
})

void t.test('no server framework beside fastify, and no library for tokens, is installed', t => {
  const names = new Set(installed.map(([path]) => path.replace(/^.*node_modules\//, '')))
  t.ok(names.has('fastify'))
  for (const name of ['express', 'hono', 'jose', 'zod']) t.notOk(names.has(name), name)
  t.end()
})

void t.test('packages come from whichever registry the installer uses', t => {
  t.strictSame(
    Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined),
    []
  )
  t.end()
})
