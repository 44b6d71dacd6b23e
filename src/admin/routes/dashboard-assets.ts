// Owns the dashboard's files as they are served: read once, under a path with a hash of the content of all of them.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'

/** A file as it is served. */
export interface Asset {
  /** Of the header field `content-type`. */
  type: string
  body: Buffer
}

/** All files of the dashboard. */
export interface Assets {
  /** What `/` serves. */
  page: Asset
  /** By path. What is at a path never changes. */
  files: ReadonlyMap<string, Asset>
}

const COMPILED = join(import.meta.dirname, '..', '..', 'dashboard')
const WRITTEN = join(COMPILED, 'page')

const resolve = createRequire(import.meta.url).resolve
const LIBRARIES = {
  'uplot.js': join(dirname(resolve('uplot')), 'uPlot.esm.js'),
  'uplot.css': join(dirname(resolve('uplot')), 'uPlot.min.css'),
  // The server brings the client that fits it.
  'socket.io-client.js': join(dirname(resolve('socket.io')), '..', 'client-dist', 'socket.io.esm.min.js')
}

const PAGE = 'index.html'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml'
}

/** Reads them from the folder that the build wrote. Throws when one is missing. */
export function readAssets(): Assets {
  const own = [COMPILED, WRITTEN].flatMap(folder =>
    readdirSync(folder)
      .filter(name => extname(name) in TYPES)
      .map(name => [name, join(folder, name)] as const)
  )
  const texts = [...own, ...Object.entries(LIBRARIES)].map(
    ([name, path]) => [name, servedText(readFileSync(path, 'utf8'))] as const
  )
  const base = `/assets/${createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 16)}`
  const assets = texts.map(([name, text]): [string, Asset] => [
    `${base}/${name}`,
    { type: TYPES[extname(name)]!, body: Buffer.from(text.replaceAll('{{assets}}', base)) }
  ])
  const files = new Map(assets)
  const page = files.get(`${base}/${PAGE}`)!
  files.delete(`${base}/${PAGE}`)
  return { page, files }
}

/** Modules name the libraries as packages; browsers find them beside. */
const servedText = (text: string): string =>
  text
    .replace(/from '(uplot|socket\.io-client)'/g, "from './$1.js'")
    .replace(/^\/\/# sourceMappingURL=.*$/m, '')
