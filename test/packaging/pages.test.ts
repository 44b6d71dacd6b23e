// Owns that README and docs/ tell the truth about flags and commands, and that their links lead somewhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { helpText } from '../../src/config/help.js'
import { readSchema } from '../../src/ledger/sql/schema/declared-schema.js'

const root = join(import.meta.dirname, '..', '..', '..')
const pages = new Map(
  ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).map(name => join('docs', name))]
    .filter(path => path.endsWith('.md') && existsSync(join(root, path)))
    .map(path => [path, readFileSync(join(root, path), 'utf8')])
)
const prose = (text: string): string => text.replace(/^```.*?^```$/gms, '')

void t.test('every flag of the proxy is in docs/settings.md with its default, and no other', t => {
  const [serve] = helpText().split('mcp-turnstile check')
  const flags = [...serve!.matchAll(/^ {2}(--[\w-]+).*?(?:\(default: (.*)\))?$/gm)].map(match =>
    match.slice(1)
  )
  const own = flags.filter(([flag]) => flag !== '--help' && flag !== '--version')
  t.ok(own.length > 10)
  const settings = pages.get('docs/settings.md')!
  const rows = [...settings.matchAll(/^\| `(--[\w-]+)` +\| +`?([^`|]+?)`? +\|/gm)].map(match =>
    match.slice(1)
  )
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

void t.test('every table of schema.sql is in docs/database.md', t => {
  const page = pages.get('docs/database.md')!
  for (const { name } of readSchema()) t.ok(page.includes(`\`${name}\``), name)
  t.end()
})

void t.test('every npm command that a page names exists', t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const named = [...pages].flatMap(([page, text]) =>
    [...text.matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g)].map(match => ({
      page,
      name: match[1] ?? match[2]!
    }))
  )
  t.ok(named.length > 10)
  t.same(
    named.filter(({ name }) => !(name in scripts)),
    []
  )
  t.end()
})

void t.test('every link of a page leads to a file, and to a heading where it names one', t => {
  const anchors = (text: string): Set<string> =>
    new Set(
      [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
        title!
          .toLowerCase()
          .replace(/[^\p{L}\p{N}_\- ]/gu, '')
          .replaceAll(' ', '-')
      )
    )
  let links = 0
  for (const [page, text] of pages) {
    for (const [, target] of prose(text).matchAll(/(?:\]\(|(?:src|href)=")([^)"\s]+)[)"]/g)) {
      if (/^\w+:/.test(target!)) continue
      const [path, anchor] = target!.split('#') as [string, string?]
      const file = path === '' ? join(root, page) : resolve(root, dirname(page), path)
      links++
      if (!t.ok(existsSync(file), `${page}: ${target!}`) || anchor === undefined) continue
      t.ok(anchors(readFileSync(file, 'utf8')).has(anchor), `${page}: ${target!}`)
    }
  }
  t.ok(links > 20)
  t.end()
})

void t.test('the changelog and the chart are of the version of the package', t => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  t.equal(/^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$/m.exec(pages.get('CHANGELOG.md')!)?.[1], version)
  const chart = readFileSync(join(root, 'docker/helm/mcp-turnstile/Chart.yaml'), 'utf8')
  t.equal(/^appVersion: (.*)$/m.exec(chart)?.[1], version)
  t.end()
})

void t.test('the README is short, and its Chinese version has the same sections and commands', t => {
  const [english, chinese] = [pages.get('README.md')!, pages.get('docs/README.zh-CN.md')!]
  t.ok(english.split('\n').length <= 151)
  const fences = (text: string): string[] => text.match(/^```(?:sh|json)\n.*?^```$/gms)!
  t.same(fences(chinese), fences(english))
  const headings = (text: string): number => prose(text).match(/^#+ /gm)!.length
  t.equal(headings(chinese), headings(english))
  t.end()
})
