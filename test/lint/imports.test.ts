// Owns the tests of the rules for imports (.dependency-cruiser.js): the tree keeps them, and each planted breach is found.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { importGraph, root } from './import-graph.js'

/** `rule: file -> file`, each once. */
async function violationsIn(directory: string): Promise<string[]> {
  const { violations } = (await importGraph(directory)).summary
  return [...new Set(violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`))].sort()
}

/** Breaks a rule by each file, in a copy of the tree. */
const planted: Record<string, string> = {
  'src/util/cycle-a.ts': "import { b } from './cycle-b.js'\nexport const a = (): unknown => b",
  'src/util/cycle-b.ts': "import { a } from './cycle-a.js'\nexport const b = (): unknown => a",
  'src/util/type-cycle-a.ts': "import type { B } from './type-cycle-b.js'\nexport type A = B | 1",
  'src/util/type-cycle-b.ts': "import type { A } from './type-cycle-a.js'\nexport interface B { a: A }",
  'src/app/cycle-host.ts':
    "import { threadFile } from '../util/threads.js'\nexport const file = threadFile('./cycle-thread.js', import.meta.url)",
  'src/app/cycle-thread.ts': "import { file } from './cycle-host.js'\nconsole.log(file)",
  'src/util/upward.ts': "export { startApp } from '../app/app.js'",
  'src/mcp/upward-type.ts': "import type { Config } from '../config/settings.js'\nexport type C = Config",
  'src/proxy/http/upward.ts': "export { tapFor } from '../taps/tap-for.js'",
  'src/dashboard/upward.ts': "export { reasonOf } from '../util/errors.js'",
  'src/loose.ts': "export { reasonOf } from './util/errors.js'"
}

void t.test('the tree keeps the rules', async t => {
  t.strictSame(await violationsIn(root), [])
})

void t.test('planted cycles, upward imports and a loose file are found', async t => {
  const directory = t.testdir()
  cpSync(join(root, 'src'), join(directory, 'src'), { recursive: true })
  for (const [path, source] of Object.entries(planted)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), source)
  }
  t.strictSame(await violationsIn(directory), [
    'imports-of-dashboard: src/dashboard/upward.ts -> src/util/errors.ts',
    'imports-of-mcp: src/mcp/upward-type.ts -> src/config/settings.ts',
    'imports-of-proxy-http: src/proxy/http/upward.ts -> src/proxy/taps/tap-for.ts',
    'imports-of-util: src/util/upward.ts -> src/app/app.ts',
    'no-cycles: src/app/cycle-host.ts -> src/app/cycle-thread.ts',
    'no-cycles: src/util/cycle-a.ts -> src/util/cycle-b.ts',
    'no-cycles: src/util/type-cycle-a.ts -> src/util/type-cycle-b.ts',
    'no-loose-files: src/loose.ts -> src/util/errors.ts'
  ])
})
