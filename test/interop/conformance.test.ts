// Owns the field's own judge: the conformance suites find through the proxy, check by check, what they find directly, and
// what they opened and deleted is what is recorded.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startServerProcess } from '../support/server-process.js'
import { Turnstile } from '../support/turnstile.js'
import { HttpRecorder } from './http-recorder.js'
import { conformanceServer, nodeLts, npmFile } from './install.js'

const SUITE_TIMEOUT_MS = 150_000
const release = npmFile('@modelcontextprotocol/conformance/dist/index.js')
const next = npmFile('conformance-next/dist/index.js')

interface Suite {
  name: string
  program: string
  args: string[]
  checks: number
  opened: number
  /** How many it leaves without a DELETE. */
  left: number
}

const suites: Suite[] = [
  { name: '0.1.16, all', program: release, args: ['--suite', 'all'], checks: 50, opened: 32, left: 32 },
  {
    name: '0.2.0, requirements of 2025-11-25',
    program: next,
    args: ['--requirements', '2025-11-25'],
    checks: 87,
    opened: 34,
    left: 1
  },
  {
    name: '0.2.0, requirements of 2026-07-28',
    program: next,
    args: ['--requirements', '2026-07-28'],
    checks: 167,
    opened: 0,
    left: 0
  }
]

for (const suite of suites) {
  void t.test(`suite ${suite.name} finds the same through the proxy`, { timeout: 200_000 }, async t => {
    const [one, other] = [await startServer(t), await startServer(t)]
    const folder = t.testdir({ data: {} })
    const turnstile = await Turnstile.start(other, join(folder, 'data'), ['--stream-path', '/'])
    t.teardown(() => turnstile.stop())
    const recorder = await HttpRecorder.start(turnstile.proxyUrl)
    t.teardown(() => recorder.stop())
    const [direct, through] = await Promise.all([
      judge(suite, one, join(folder, 'direct')),
      judge(suite, recorder.url, join(folder, 'through'))
    ])
    t.strictSame(through, direct, 'check by check the same')
    t.equal(direct.length, suite.checks, 'all its checks')

    await turnstile.shipped()
    const rows = (await turnstile.connections()).filter(row => row.transport_type === 2)
    t.strictSame(
      Object.fromEntries(rows.map(row => [row.session_id, row.reason])),
      Object.fromEntries(recorder.sessions.map(session => [session.sessionId, session.ended?.by ?? null])),
      'every session it was told of, and whether it deleted it'
    )
    t.equal(rows.length, suite.opened, 'sessions')
    t.equal(rows.filter(row => row.reason === null).length, suite.left, 'still open')
  })
}

/** The Go SDK's server for these suites, with sessions. */
async function startServer(t: Test): Promise<string> {
  const server = await startServerProcess(port => ({
    file: conformanceServer,
    args: ['-http', `127.0.0.1:${port}`, '-stateless=false']
  }))
  t.teardown(() => server.stop())
  return server.url
}

/** What the suite found, sorted: one line a check. */
async function judge({ program, args }: Suite, url: string, output: string): Promise<string[]> {
  const command = [program, 'server', '--url', url, '--output-dir', output, ...args]
  // It ends with 1 when a check failed, which is as well as long as it fails both ways.
  await promisify(execFile)(nodeLts, command, { timeout: SUITE_TIMEOUT_MS }).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 1) throw error
  })
  return readdirSync(output)
    .flatMap(scenario => {
      const checks = JSON.parse(readFileSync(join(output, scenario, 'checks.json'), 'utf8')) as object[]
      return checks.map(check => `${scenario.replace(/-\d{4}-\d\d-\d\dT.*/, '')} ${comparable(check)}`)
    })
    .sort()
}

/** Without what differs from run to run: addresses, session ids, dates, ids made of the time; and the keep-alive of the recorder. */
const variable = [
  /127\.0\.0\.1:\d+/g,
  /\b[A-Z2-7]{26}\b/g,
  /\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/g,
  /"id":\d{13}/g,
  /,"keep-alive":"timeout=\d+"/g
]

function comparable(check: object): string {
  const json = JSON.stringify({ ...check, timestamp: undefined })
  return variable.reduce((text, pattern) => text.replaceAll(pattern, ''), json)
}
