// Owns the OpenTelemetry Collector of the tests: built from Go modules as `builder.yaml` says, once for each version of that file.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../..')
const config = join(root, 'test/otel/builder.yaml')
/** The version of the components. */
const BUILDER = 'go.opentelemetry.io/collector/cmd/builder@v0.165.0'

/** The path of a collector. Throws where Go is missing or the build fails. */
export async function collectorProgram(): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(config)).digest('hex').slice(0, 16)
  const folder = join(root, 'node_modules/.cache/otel')
  const program = join(folder, `otelcol-${hash}`)
  if (existsSync(program)) return program
  await mkdir(folder, { recursive: true })
  const sources = await mkdtemp(join(tmpdir(), 'otelcol-'))
  try {
    const args = ['run', BUILDER, '--config', config, '--set', `dist.output_path=${sources}`]
    const [code] = (await once(spawn('go', args, { stdio: 'inherit' }), 'exit')) as [number | null]
    if (code !== 0) throw new Error(`the builder ended with ${code}`)
    // A build that is cut short leaves no program.
    await rename(join(sources, 'otelcol'), program)
    return program
  } finally {
    await rm(sources, { recursive: true })
  }
}
