// Owns that docs/architecture.md tells the truth about files, and that a stranger's searches lead to the place.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from './import-graph.js'

/** A search that hits more files than this does not lead to a place. */
const MAX_FILES = 8

const text = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8')
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
  /\.(ts|md)$/.test(name)
)

void t.test('every file that docs/architecture.md names exists', t => {
  const named = [...text.matchAll(/`([\w/-]+\.ts|[\w-]+\/[\w/-]*\/)`/g)].map(match => match[1]!)
  t.ok(named.length > 30)
  const isThere = (path: string): boolean =>
    existsSync(join(root, 'src', path)) || files.some(file => file.endsWith(`/${path}`))
  t.strictSame(
    named.filter(path => !isThere(path)),
    []
  )
  t.end()
})

void t.test('each search finds the files that it should, and few others', t => {
  const rows = [...text.matchAll(/^\| [^|]+ \| `([^`|]+)` \| ([^|]+) \|$/gm)].filter(([, , found]) =>
    /\.ts`/.test(found!)
  )
  const searches = rows.slice(rows.findIndex(([, term]) => term === '404 → gone'))
  t.equal(searches.length, 13)
  for (const [, term, found] of searches) {
    const hits = files.filter(file =>
      readFileSync(join(root, 'src', file), 'utf8')
        .toLowerCase()
        .includes(term!)
    )
    t.ok(hits.length <= MAX_FILES, `${term!}: ${hits.length} files`)
    for (const [, wanted] of found!.matchAll(/`([\w/-]+\.ts)`/g))
      t.ok(
        hits.some(hit => hit.endsWith(wanted!)),
        `${term!}: ${wanted!}`
      )
  }
  t.end()
})
