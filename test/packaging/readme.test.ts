// Owns that the README tells the truth about flags and commands.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { helpText } from '../../src/config/help.js'

const root = join(import.meta.dirname, '..', '..', '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

void t.test('every flag of the proxy is in the README with its default, and no other', t => {
  const [serve] = helpText().split('mcp-turnstile check')
  const flags = [...serve!.matchAll(/^ {2}(--[\w-]+).*?(?:\(default: (.*)\))?$/gm)].map(match =>
    match.slice(1)
  )
  const own = flags.filter(([flag]) => flag !== '--help' && flag !== '--version')
  t.ok(own.length > 10)
  const rows = [...readme.matchAll(/^\| `(--[\w-]+)` +\| +`?([^`|]+?)`? +\|/gm)].map(match => match.slice(1))
  t.same(
    rows.map(([flag]) => flag),
    own.map(([flag]) => flag)
  )
  for (const [flag, byDefault] of own) {
    if (byDefault !== undefined)
      t.equal(rows.find(([name]) => name === flag)?.[1], byDefault, `default of ${flag!}`)
  }
  t.end()
})

void t.test('every npm command of the README exists', t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const named = [...readme.matchAll(/npm (?:run )?(start|test|test:\w+|\w+)\b(?=[^\w:])/g)].map(
    match => match[1]!
  )
  const commands = named.filter(name => name !== 'ci' && name !== 'run')
  t.ok(commands.length > 5)
  t.same(
    commands.filter(name => !(name in scripts)),
    []
  )
  t.end()
})
