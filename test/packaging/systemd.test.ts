// Owns that docker/systemd/mcp-turnstile.service gives the program settings that it has, and the time that it needs; and that its
// socket is where the program would listen.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { parseConfig } from '../../src/config/read-settings.js'

const read = (kind: string): string =>
  readFileSync(resolve(import.meta.dirname, `../../../docker/systemd/mcp-turnstile.${kind}`), 'utf8')
const unit = read('service')
const value = (name: string, of = unit): string => new RegExp(`^${name}=(.*)$`, 'm').exec(of)![1]!

void t.test('its flags are settings; state and secret are where systemd puts them', t => {
  const credentials = t.testdir({ store: 'sqlite:/var/lib/mcp-turnstile/turnstile.db\n' })
  const [, ...flags] = value('ExecStart')
    .replace('%S', '/var/lib')
    .replace('%d', credentials)
    .split(' ')
    .slice(1)
  const config = parseConfig(flags, {})
  t.equal(value('ListenStream', read('socket')), `${config.listen.host}:${config.listen.port}`)
  t.equal(config.dataDir, `/var/lib/${value('StateDirectory')}`)
  t.match(config.store, { kind: 'sqlite' })
  t.equal(value('LoadCredential').split(':')[0], 'store')
  t.ok(parseInt(value('TimeoutStopSec')) * 1_000 > config.drainTimeoutMs + config.drainDelayMs)
  t.ok(Number(value('LimitNOFILE')) > 2 * config.maxConnections)
  t.end()
})
