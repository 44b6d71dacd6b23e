// Owns `top` on a terminal: it draws again, keys change what it shows, and the terminal is left as it was.
import { spawn, spawnSync } from 'node:child_process'
import t from 'tap'
import type { ConnectionInfo } from '../../src/admin/schemas/monitoring-responses.js'
import { topLines, type View } from '../../src/terminal/top-screen.js'
import { MAIN } from '../support/command-line.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const NOW = Date.UTC(2026, 10, 21, 12)

const session = (id: number, over: Partial<ConnectionInfo> = {}): ConnectionInfo => ({
  ...{ sessionId: `s${id}`, clientIP: '192.0.2.1', userAgent: 'agent', endpointId: `e${id % 2}` },
  connectedAt: new Date(NOW - id * 60_000).toISOString(),
  lastActivity: new Date(NOW - id * 1_000).toISOString(),
  ...{ requestCount: id * 10, transport: 'streamable', upstream: 'a', clientName: `client ${id}` },
  ...{ clientVersion: null, protocolVersion: null, principal: null, principalKind: null, oauthClient: null },
  ...{ conversation: null, bytesIn: 0, bytesOut: 0, callCount: 0, errorCount: 0, unreadCount: 0 },
  ...over
})

const view: View = {
  ...{
    sort: 'newest',
    isReversed: false,
    group: 'none',
    filter: '',
    isTyping: false,
    isPaused: false,
    offset: 0
  }
}
const sessions = [3, 1, 2, 4].map(id => session(id))
const shown = (over: Partial<View>, size = { columns: 120, rows: 20 }, connections = sessions): string[] =>
  topLines(
    { ...view, ...over },
    {
      stats: {
        ...{ activeConnections: 4, activePrincipals: 4, activeConversations: 4, totalConnections: 9 },
        ...{ connections, lastUpdated: new Date(NOW).toISOString() }
      },
      upstreams: []
    },
    undefined,
    size,
    NOW
  ).map(cells => cells.map(({ text }) => text).join('  '))
const idsIn = (lines: string[]): string[] => lines.flatMap(line => /^s\d/.exec(line)?.[0] ?? [])

void t.test('orders, filter and groups', t => {
  t.strictSame(idsIn(shown({})), ['s1', 's2', 's3', 's4'])
  t.strictSame(idsIn(shown({ isReversed: true })), ['s4', 's3', 's2', 's1'])
  t.strictSame(idsIn(shown({ sort: 'requests' })), ['s4', 's3', 's2', 's1'])
  t.strictSame(idsIn(shown({ sort: 'client' })), ['s1', 's2', 's3', 's4'])
  t.strictSame(idsIn(shown({ sort: 'client', isReversed: true })), ['s4', 's3', 's2', 's1'])
  t.strictSame(idsIn(shown({ filter: 'CLIENT 3' })), ['s3'])
  t.strictSame(idsIn(shown({ offset: 3 })), ['s4'])
  t.match(shown({ group: 'endpoint' }).join('\n'), /e1 +2 +40 +1s\ne0 +2 +60 +2s/)
  t.end()
})

void t.test('no line is wider than the terminal, and no screen is higher', t => {
  const odd = [session(1, { endpointId: '知识库'.repeat(30), clientName: '\u202eevil\n\u0007' })]
  for (const columns of [20, 60, 80, 200]) {
    for (const rows of [3, 8, 50]) {
      const lines = shown({}, { columns, rows }, odd)
      t.ok(lines.length <= rows, `${lines.length} of ${rows}`)
      t.notMatch(lines.join(''), /[\u202e\u0007]/)
    }
  }
  const narrow = shown({}, { columns: 60, rows: 9 }, odd).find(line => line.startsWith('s1'))!
  t.match(narrow, /知识库.*…/)
  t.notMatch(narrow, '192.0.2.1', 'the last columns are left out')
  t.end()
})

void t.test('where there is no room, principals and gateways keep the end that tells them apart', t => {
  const at = { principal: 'https://id.example.com/tenants/7#ann', upstream: 'gateway-of-the-north:8081' }
  const line = shown({}, { columns: 100, rows: 9 }, [session(1, at)]).find(text => text.startsWith('s1'))!
  t.match(line, /…\S*#ann\b/)
  t.match(line, /…\S*:8081\b/)
  t.end()
})

const hasScript = String(spawnSync('script', ['--version']).stdout).includes('util-linux')

void t.test('on a terminal', { skip: !hasScript && 'needs script of util-linux' }, async t => {
  const gateway = await startFakeGateway()
  const turnstile = await Turnstile.start(gateway.url, t.testdir())
  const open = async (): Promise<void> => {
    await (await fetch(`${turnstile.proxyUrl}/stream/e1`, { method: 'POST', body: '{}' })).arrayBuffer()
  }
  await open()
  await turnstile.shipped()
  const command = `stty cols 100 rows 30; exec ${process.execPath} ${MAIN} top --interval 200ms --admin-url ${turnstile.adminUrl}`
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...env, TERM: 'xterm' } })
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text))
  const exited = new Promise(resolve => child.once('close', resolve))
  t.teardown(async () => {
    child.kill()
    await turnstile.stop()
    await gateway.stop()
  })
  const sees = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(screen)) await new Promise(resolve => child.stdout.once('data', resolve))
    screen = ''
  }
  await sees(/\u001b\[\?1049h.*1 open/s)
  await open()
  await sees(/2 open/)
  child.stdin.write('s')
  await sees(/sorted by last used/)
  child.stdin.write('g')
  await sees(/grouped by endpoint/)
  child.stdin.write('/e9\r')
  await sees(/filter "e9": 0/)
  child.stdin.write('q')
  t.equal(await exited, 0)
  t.match(screen, /\u001b\[\?25h\u001b\[\?1049l/, 'the screen before is there again')
})
