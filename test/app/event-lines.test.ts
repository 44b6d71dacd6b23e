// Owns what the log of the real process says: of each session at the level debug, of a gateway that goes and comes, and in
// which form on a terminal.
import { spawn, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MAIN } from '../support/command-line.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

void t.test('debug: a line for each event of a session, without its id', async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), ['--log-level', 'debug'])
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const url = `${turnstile.proxyUrl}/stream/e1`
  const response = await fetch(url, { method: 'POST', body: '{}' })
  await response.arrayBuffer()
  const id = response.headers.get('mcp-session-id')!
  await (await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': id } })).arrayBuffer()
  // Bytes and calls may be told of in a line of their own.
  const events = (): unknown[] =>
    turnstile.log.filter(({ msg }) => /^session event: (?!use|outcome)/.test(String(msg)))
  while (events().length < 2) await sleep(10)
  const session = `${id.slice(0, 8)}…`
  t.match(events(), [
    { msg: 'session event: open', endpointId: 'e1', session },
    { msg: 'session event: close', endpointId: 'e1', session, reason: 'delete' }
  ])
  t.notMatch(JSON.stringify(turnstile.log), id)
})

void t.test('a gateway goes and comes: a line each, however many requests fail', async t => {
  const port = await freePort()
  let gateway = await startFakeGateway(undefined, port)
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const said = (message: string): unknown[] => turnstile.log.filter(({ msg }) => msg === message)
  const [goes, comes] = ['the gateway takes no connections', 'the gateway takes connections again']
  await gateway.stop()
  while (said(goes).length === 0) await sleep(10)
  for (let i = 0; i < 30; i++)
    t.equal((await fetch(`${turnstile.proxyUrl}/stream/e1`, { method: 'POST' })).status, 502)
  gateway = await startFakeGateway(undefined, port)
  while (said(comes).length === 0) await sleep(10)
  t.match(said(goes), [{ level: 40, upstream: `127.0.0.1:${port}` }])
  t.equal(said(goes).length, 1)
  t.match(said(comes), [{ level: 30, upstream: `127.0.0.1:${port}`, failedForMs: Number }])
  t.ok(turnstile.log.filter(({ status }) => status === 502).length <= 10)
})

const hasScript = String(spawnSync('script', ['--version']).stdout).includes('util-linux')

void t.test(
  'on a terminal: lines for people',
  { skip: !hasScript && 'needs script of util-linux' },
  async t => {
    const flags = `--upstream http://127.0.0.1:9 --listen 127.0.0.1:0 --admin 127.0.0.1:0 --data-dir ${t.testdir()} --store sqlite:${t.testdirName}/t.db`
    const { NODE_OPTIONS: _, NO_COLOR: __, ...env } = process.env
    const child = spawn('script', ['-qec', `exec ${process.execPath} ${MAIN} ${flags}`, '/dev/null'], {
      env: { ...env, TERM: 'xterm' }
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
    const exited = new Promise(resolve => child.once('close', resolve))
    t.teardown(() => child.kill())
    while (!/ listening {2}proxyUrl=http/.test(text))
      await new Promise(resolve => child.stdout.once('data', resolve))
    t.match(text, /^\d\d:\d\d:\d\d\.\d{3} \u001b\[32mINFO \u001b\[39m /m)
    child.stdin.write('\u0003')
    t.equal(await exited, 0)
  }
)
