// Owns the tests of the rooms of src/: how many there are, that each says what it is, and that each name stands for one file.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { importGraph, root } from './import-graph.js'

/** What a stranger takes in at one look. A floor: rooms that import only from the floors below. */
const MAX_ROOMS = 13
const MAX_FLOORS = 7
const MAX_PROXY_ROOMS = 8

const src = join(root, 'src')
const entries = readdirSync(src, { recursive: true, withFileTypes: true })
const roomsIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? [entry.name] : []))

void t.test('each base name exists once, but for README.md', t => {
  const names = entries.filter(entry => entry.isFile() && entry.name !== 'README.md').map(({ name }) => name)
  // The dashboard is compiled by a configuration of its own.
  const repeated = names.filter((name, i) => name !== 'tsconfig.json' && names.indexOf(name) !== i)
  t.strictSame(repeated, [])
  t.end()
})

void t.test('each folder has a README.md', t => {
  // `page` holds what is served as it is, and no modules.
  const folders = entries
    .filter(entry => entry.isDirectory() && entry.name !== 'page')
    .map(({ parentPath, name }) => join(parentPath, name))
  const silent = [src, ...folders].filter(folder => !existsSync(join(folder, 'README.md')))
  t.strictSame(silent, [])
  t.end()
})

void t.test('a stranger takes the rooms in at one look', t => {
  t.ok(roomsIn(src).length <= MAX_ROOMS, `${roomsIn(src).length} rooms`)
  const { length } = roomsIn(join(src, 'proxy'))
  t.ok(length <= MAX_PROXY_ROOMS, `${length} rooms in proxy/`)
  t.end()
})

void t.test('the rooms stand on few floors, and none of them in a circle', async t => {
  const below = new Map<string, Set<string>>()
  const roomOf = (path: string): string => path.split('/')[1]!
  for (const { source, dependencies } of (await importGraph(root)).modules) {
    if (!source.startsWith('src/')) continue
    const rooms = below.get(roomOf(source)) ?? new Set()
    below.set(roomOf(source), rooms)
    for (const { resolved } of dependencies)
      if (resolved.startsWith('src/') && roomOf(resolved) !== roomOf(source)) rooms.add(roomOf(resolved))
  }
  const floorOf = (room: string, above: readonly string[] = []): number => {
    if (above.includes(room)) throw new Error(`a circle: ${[...above, room].join(' -> ')}`)
    const floors = [...below.get(room)!].map(lower => floorOf(lower, [...above, room]))
    return 1 + Math.max(0, ...floors)
  }
  const floors = [...below.keys()].map(room => floorOf(room))
  t.ok(below.size > 5, 'the rooms were read')
  t.ok(Math.max(...floors) <= MAX_FLOORS, `${Math.max(...floors)} floors`)
})
