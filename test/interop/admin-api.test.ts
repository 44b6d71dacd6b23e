// Owns that the admin port keeps to its own description, whatever it is asked: Schemathesis over every route of
// /openapi.json, those that end sessions included, against a real rmcp gateway.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { Gateway } from '../support/gateway.js'
import { connectClient } from '../support/sdk-clients.js'
import { Turnstile } from '../support/turnstile.js'
import { schemathesis, schemathesisConfig } from './install.js'

/** Twice the 110 s that Schemathesis took with six busy processes on each CPU. */
const RUN_TIMEOUT_MS = 240_000
const MAX_REPORT = 20_000
/** It draws its progress, also where nobody looks. Chosen: for minutes of that. */
const MAX_OUTPUT = 64 * 1024 * 1024

/** The endpoints `0` and `a` are among the first that Schemathesis thinks of. */
for (const [name, endpoints] of [
  ['an empty store', []],
  ['sessions of several endpoints', ['0', 'a', 'files', '0', 'a', 'files']]
] as const) {
  void t.test(`the admin port keeps to OpenAPI with ${name}`, { timeout: 2 * RUN_TIMEOUT_MS }, async t => {
    const gateway = await Gateway.start('gateway-rmcp0')
    const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--admin-token', 'operator'])
    const clients = await Promise.all(
      endpoints.map((endpointId, i) =>
        connectClient(turnstile.proxyUrl, i < 3 ? 'streamable' : 'sse', endpointId)
      )
    )
    t.teardown(async () => {
      await Promise.allSettled(clients.map(client => client.close()))
      await turnstile.stop()
      await gateway.stop()
    })
    const headers = { authorization: 'Bearer operator' }
    const { paths } = (await (await fetch(`${turnstile.adminUrl}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>
    }
    const operations = Object.values(paths).flatMap(methods => Object.keys(methods)).length

    const args = ['--config-file', schemathesisConfig, 'run', '--no-color']
    const url = `${turnstile.adminUrl}/openapi.json`
    const { stdout } = await promisify(execFile)(
      schemathesis,
      [...args, '--header', `Authorization: ${headers.authorization}`, url],
      { cwd: t.testdirName, timeout: RUN_TIMEOUT_MS, maxBuffer: MAX_OUTPUT }
    ).catch((error: unknown) => {
      const { stdout } = error as { stdout: string }
      t.comment(stdout.slice(Math.max(stdout.indexOf('FAILURES'), stdout.length - MAX_REPORT)))
      throw error
    })
    t.match(stdout, `Tested: ${operations}\n`)
    const [cases = ''] = /\d+ generated.*/.exec(stdout) ?? []
    t.comment(`${name}: ${cases}`)
    t.match(cases, /^\d{3,} generated, \d+ passed/)

    const sessions = await fetch(`${turnstile.adminUrl}/api/connections/endpoint?start_time=0`, { headers })
    const rows = (await sessions.json()) as { reason: string | null }[]
    t.equal(
      rows.some(({ reason }) => reason === 'killed'),
      endpoints.length > 0,
      'sessions were ended by it'
    )
    t.strictSame(
      turnstile.log.filter(({ level }) => Number(level) >= 50),
      [],
      'no error in the log'
    )
  })
}
