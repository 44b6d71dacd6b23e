// Owns the tidb-server of the tests: built from the Go modules that `server/go.mod` names, once for each of its versions.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../..')
const module = join(root, 'test/tidb/server')

/** The path of a tidb-server. Throws where Go is missing or the build fails. */
export async function tidbServer(): Promise<string> {
  const pins = ['go.mod', 'go.sum'].map(file => readFileSync(join(module, file)))
  const hash = createHash('sha256').update(Buffer.concat(pins)).digest('hex').slice(0, 16)
  const folder = join(root, 'node_modules/.cache/tidb', hash)
  const server = join(folder, 'tidb-server')
  if (existsSync(server)) return server
  mkdirSync(folder, { recursive: true })
  // Go 1.23 and newer ask for it: TiDB reads the version of Go from the runtime by a name that is not public.
  const flags = ['-ldflags=-checklinkname=0', '-o', `${server}.new`]
  const args = ['-C', module, 'build', ...flags, 'github.com/pingcap/tidb/cmd/tidb-server']
  const [code] = (await once(spawn('go', args, { stdio: 'inherit' }), 'exit')) as [number | null]
  if (code !== 0) throw new Error(`go build ended with ${code}`)
  // A build that is cut short leaves no server.
  renameSync(`${server}.new`, server)
  return server
}
