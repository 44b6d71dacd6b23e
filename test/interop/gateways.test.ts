// Owns gateways of other projects behind the proxy: by each of their doors clients get the same as directly, and the rows
// say who came in by which, and how they left.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'
import { type ClientKind, clientKinds, type Visit, withoutProgress } from './clients.js'
import { type Door, gatewayKinds, type Run, type RunningGateway } from './gateways.js'
import { everythingTools, type Tools } from './servers.js'

const IDLE_TIMEOUT = '5s'
/** Of pino. */
const LEVEL_INFO = 30
const TRANSPORT_TYPES = { sse: 1, streamable: 2, sessionless: 3 }

/** What clients are called in their `initialize`, and what ends their Streamable HTTP sessions. */
const visitors = [
  { client: clientNamed('TypeScript SDK 1.32'), clientName: 'turnstile-interop', reason: 'idle' },
  { client: clientNamed('Python SDK 1.30'), clientName: 'mcp', reason: 'delete' }
]

type Visitor = (typeof visitors)[number]
/** Endpoint, transport, client's name, why it ended. */
type Row = [string, number, string | null, string | null]

function clientNamed(name: string): ClientKind {
  return clientKinds.find(kind => kind.name === name)!
}

for (const kind of gatewayKinds) {
  void t.test(`clients get the same from ${kind.name} and through us`, { timeout: 240_000 }, async t => {
    const directories = t.testdir({ gateway: {}, turnstile: {} })
    const run: Run = async starting => {
      const server = await starting
      t.teardown(() => server.stop())
      return server.url
    }
    const gateway = await kind.start(run, `${directories}/gateway`)
    const flags = [...kind.flags, '--session-idle-timeout', IDLE_TIMEOUT]
    const turnstile = await Turnstile.start(gateway.url, `${directories}/turnstile`, flags)
    t.teardown(() => turnstile.stop())
    const wanted: Row[] = []
    for (const door of gateway.doors) {
      for (const visitor of visitors) {
        await t.test(`${visitor.client.name}, ${door.transport} at ${door.path}`, t =>
          comeIn(t, gateway, turnstile, door, visitor)
        )
        wanted.push(rowOf(door, visitor, endOf(door, visitor)))
      }
    }
    while ((await turnstile.count()) > 0) await sleep(50)
    t.strictSame((await turnstile.connections()).map(shown).reverse(), wanted, 'all sessions, and no other')
    const warnings = turnstile.log.filter(({ level }) => Number(level) > LEVEL_INFO)
    t.strictSame(
      warnings.map(({ msg }) => msg),
      [],
      'nothing to warn of'
    )
  })
}

/** One client, directly and through the proxy, with the same result; while it is there, so is its row. */
async function comeIn(
  t: Test,
  gateway: RunningGateway,
  turnstile: Turnstile,
  door: Door,
  visitor: Visitor
): Promise<void> {
  const { path, transport } = door
  const task = { ...toolsWith(gateway.prefix), transport, headers: gateway.headers ?? {} }
  const homes = t.testdir({ direct: {}, through: {} })
  const visit = (url: string, home: string): Promise<Visit> =>
    visitor.client.visit({ ...task, url: url + path }, `${homes}/${home}`)
  const direct = await visit(gateway.url, 'direct')
  const through = await visit(turnstile.proxyUrl, 'through')
  // Some gateways lose a part of the progress, some tell it to others too.
  t.strictSame(withoutProgress(through.report), withoutProgress(direct.report), 'the same result')
  t.match(direct.report.echo, /hello/, 'the answer of the tool')
  await turnstile.shipped()
  const [newest] = await turnstile.connections()
  t.strictSame(newest && shown(newest), rowOf(door, visitor, null), 'its session is open')
  await Promise.all([direct.leave(), through.leave()])
}

const rowOf = (door: Door, { clientName }: Visitor, reason: string | null): Row => [
  door.endpointId,
  TRANSPORT_TYPES[door.sessionless ? 'sessionless' : door.transport],
  clientName,
  reason
]

function endOf({ transport, sessionless }: Door, { reason }: Visitor): string {
  if (transport === 'sse') return 'stream_end'
  return sessionless ? 'idle' : reason
}

const shown = (row: ConnectionJson): Row => [row.endpoint_id, row.transport_type, row.client_name, row.reason]

function toolsWith(prefix = ''): Tools {
  const { echo, slow } = everythingTools
  return { echo: { ...echo, name: prefix + echo.name }, slow: { ...slow, name: prefix + slow.name } }
}
