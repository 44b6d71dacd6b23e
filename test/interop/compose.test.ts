// Owns that Docker Compose takes docker/compose.yaml: read by Compose's own loader, without an engine.
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { composeReader } from './install.js'

const file = resolve(import.meta.dirname, '../../../docker/compose.yaml')

async function load(env: Record<string, string>): Promise<{ services: Record<string, object> }> {
  const { stdout } = await promisify(execFile)(composeReader, [file], { env })
  return JSON.parse(stdout) as { services: Record<string, object> }
}

void t.test('Compose loads the file when UPSTREAM is set', async t => {
  const { services } = await load({ UPSTREAM: 'http://gateway:3000' })
  t.strictSame(Object.keys(services).sort(), ['grafana', 'mysql', 'prometheus', 'turnstile'])
  t.match(services['turnstile'], {
    environment: { TURNSTILE_UPSTREAM: 'http://gateway:3000' },
    depends_on: { mysql: { condition: 'service_started' } },
    read_only: true
  })
})

void t.test('without UPSTREAM, Compose says what to set', async t => {
  await t.rejects(load({}), { message: /UPSTREAM is missing a value: the base URL of your MCP gateway/ })
})
