// Owns the proof that logging never stops the process: whatever reads standard output and standard error, it forwards, answers
// operators, counts the lines that it drops, and ends in order.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { freePort } from '../support/ports.js'
import { Scrape } from '../support/scrape.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

interface Running {
  child: ChildProcess
  proxyUrl: string
  adminUrl: string
}

/** Starts the process with `output` as standard output and standard error; `pipe` is a pipe that is never read. */
async function start(t: Test, output: number | 'pipe', flags: string[]): Promise<Running> {
  const gateway = await startFakeGateway()
  const [proxy, admin] = [await freePort(), await freePort()]
  const directory = t.testdir()
  const args = ['--upstream', gateway.url, '--listen', `127.0.0.1:${proxy}`, '--admin', `127.0.0.1:${admin}`]
  args.push('--data-dir', directory, '--store', `sqlite:${directory}/turnstile.db`, ...flags)
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', output, output] })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await gateway.stop()
  })
  const adminUrl = `http://127.0.0.1:${admin}`
  while (!(await fetch(`${adminUrl}/readyz`).catch(() => undefined))?.ok) {
    if (child.exitCode !== null) throw new Error(`ended: ${child.exitCode}`)
    await sleep(20)
  }
  return { child, adminUrl, proxyUrl: `http://127.0.0.1:${proxy}` }
}

/** The status of a request that the proxy refuses. */
async function refused({ proxyUrl }: Running): Promise<number> {
  const { hostname, port } = new URL(proxyUrl)
  const asked = request({ hostname, port, path: '/#', agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode!
}

/** Actions of operators, each with an audit line of nearly 1 kB. */
async function act({ adminUrl }: Running, count: number): Promise<void> {
  for (let i = 0; i < count; i += 20)
    await Promise.all(
      Array.from({ length: 20 }, async (_, j) => {
        const id = encodeURIComponent(`${i + j}-${'日'.repeat(240)}`)
        const method = j % 2 ? 'DELETE' : 'PUT'
        await (await fetch(`${adminUrl}/api/mcp/endpoints/${id}/drain`, { method })).arrayBuffer()
      })
    )
}

for (const [name, output] of Object.entries({
  'a full disk': (): number => openSync('/dev/full', 'w'),
  'a reader that stopped': (): 'pipe' => 'pipe'
})) {
  for (const flags of [[], ['--workers', '2']]) {
    void t.test(`standard output and error on ${name} ${flags.join(' ')}`, { timeout: 120_000 }, async t => {
      const running = await start(t, output(), flags)
      const { child, adminUrl, proxyUrl } = running
      await act(running, 2_000)
      for (let i = 0; i < 10; i++) {
        const statuses = await Promise.all(Array.from({ length: 40 }, () => refused(running)))
        t.ok(statuses.every(status => status === 400))
      }
      t.equal((await fetch(`${proxyUrl}/stream/e`, { method: 'POST', body: '{}' })).status, 200)
      const scrape = await Scrape.of(adminUrl)
      t.ok(scrape.value('turnstile_log_lines_dropped_total')! > 100, 'what could not be written is counted')
      child.kill('SIGTERM')
      const [code] = (await once(child, 'exit')) as [number | null]
      t.equal(code, 0, 'it ends in order')
    })
  }
}
