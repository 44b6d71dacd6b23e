// Owns clients of the legacy HTTP+SSE transport: a stream, whatever its gateway announces, and messages through any proxy.
import { randomUUID } from 'node:crypto'
import type { Random } from '../support/random.js'
import { ExpectedSession } from './oracle.js'
import type { Script } from './scripted-gateway.js'
import { ENDPOINTS, encoded, spelled, type Stage, type Told } from './stage.js'
import { seenBy } from './standalone-stream.js'
import { Person } from './whose.js'

interface Layout {
  /** What the endpoint event says; `own` is the path of the stream. */
  uri: (id: string, endpoint: string, gateway: string) => string
  /** Whether docs/counting.md says by which id it is known, and another process can tell whose message it is. */
  id: 'known' | 'made'
  message: 'anywhere' | 'own proxy'
}

const layouts: readonly Layout[] = [
  { uri: (id, e) => `/message?sessionId=${id}&endpointId=${e}`, id: 'known', message: 'anywhere' },
  { uri: id => `/message?session_id=${id}`, id: 'known', message: 'anywhere' },
  { uri: id => `/message?sessionid=${id}`, id: 'known', message: 'anywhere' },
  { uri: id => `/message?session=${id}&v=1`, id: 'known', message: 'anywhere' },
  { uri: id => `/message?client_id=${id}`, id: 'known', message: 'anywhere' },
  { uri: id => `/message?app=web&ticket=${id}`, id: 'known', message: 'anywhere' },
  { uri: (id, _, gateway) => `${gateway}/message?sessionId=${id}`, id: 'known', message: 'anywhere' },
  { uri: (id, e) => `/${e}/sse?sessionId=${id}`, id: 'known', message: 'anywhere' },
  { uri: id => `message?sessionId=${id}`, id: 'known', message: 'own proxy' },
  { uri: (id, e) => `/${e}/messages/${id}`, id: 'known', message: 'own proxy' },
  { uri: (_, e) => `/${e}/messages`, id: 'made', message: 'own proxy' }
]
const answers: readonly [number, Script][] = [
  [60, { status: 202, body: 'Accepted' }],
  [10, { status: 200, body: '{}' }],
  [4, { status: 404, body: 'Not Found: Session not found' }],
  [3, { status: 404 }],
  [3, { status: 400, body: '{"error":{"code":-32000,"message":"No valid session ID provided"}}' }],
  [2, { status: 500 }]
]

const NOTED_MS = 1_000

export class LegacyClient {
  constructor(
    readonly stage: Stage,
    readonly random: Random
  ) {}

  async live(): Promise<void> {
    const { stage, random } = this
    const [endpointId, agent, layout] = [random.pick(ENDPOINTS), stage.name('Legacy'), random.pick(layouts)]
    const id = randomUUID()
    const uri = layout.uri(id, encoded(endpointId), stage.gateway.url)
    const path = spelled(random, `/${encoded(endpointId)}/sse`, 'sse')
    const newline = random.pick(['\n', '\r\n'])
    const event = [`event: endpoint`, `data: ${uri}`, '', ''].join(newline)
    const intro = random.pick(['', ': hello\n\n', 'retry: 5000\n\n'])
    const headers = { 'content-type': 'text/event-stream; charset=utf-8' }
    const person = new Person(random)
    const opening = person.claim()
    const told = stage.send(
      random,
      {
        method: 'GET',
        path,
        headers: { accept: 'text/event-stream', 'user-agent': agent, ...opening.fields }
      },
      { status: 200, headers, body: intro, stream: true }
    )
    await told.exchange.head
    if (told.exchange.headAt === 0 || told.scripted.answeredAt === 0) return
    const cutAt = random.int(0, event.length - 1)
    const from = told.scripted.write(event.slice(0, cutAt))
    told.scripted.write(event.slice(cutAt))
    const at = await told.exchange.until(`${uri}${newline}${newline}`)
    const expected = new ExpectedSession(endpointId, layout.id === 'known' ? id : undefined, 1, agent)
    expected.note = `${path} announced ${uri}`
    expected.owner.note(opening.claim, at !== undefined)
    stage.sessions.push(expected)
    // Where streams announce the same, the latest one gets the messages of all.
    expected.mostRequests = layout.id === 'known' ? 1 : Infinity
    expected.add(at === undefined ? 'unknown' : 'use', from, at ?? Date.now())
    expected.add('present', from, from)
    const ended = this.#watch(told, expected)
    const message = new URL(uri, told.by.proxyUrl + path)
    for (let left = random.int(0, 12); left > 0 && told.exchange.endAt === 0; left--) {
      if (!(await stage.turn(random.int(10, 500)))) break
      await this.#message(expected, layout, message.pathname + message.search, told, person)
    }
    await this.#part(told, expected, ended)
  }

  async #message(
    expected: ExpectedSession,
    layout: Layout,
    target: string,
    { by }: Told,
    person: Person
  ): Promise<void> {
    const { stage, random } = this
    const other = random.pick(stage.fleet)
    const one = stage.setup.proxies.length === 1 && stage.setup.proxies[0] === 1
    const via = layout.message === 'anywhere' || !one ? other : by
    const strange = random.chance(0.1)
    const path = strange ? this.#disguised(target) : target
    const script = random.weighted(answers)
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    const { claim, fields } = person.claim(script.status >= 300)
    if (script.status < 300) expected.owner.note(claim, false)
    const told = stage.send(
      random,
      { method: 'POST', path, headers: { 'content-type': 'application/json', ...fields }, body },
      script,
      via
    )
    await told.exchange.end
    expected.mostRequests++
    const { sentAt, headAt, endAt } = told.exchange
    if (told.scripted.answeredAt === 0 || headAt === 0) return expected.add('unknown', sentAt, endAt)
    if (script.status >= 300) return expected.add('refused', told.scripted.answeredAt, headAt)
    const placed = !strange && layout.id === 'known' && (layout.message === 'anywhere' || one)
    if (placed && !expected.facts.some(({ what }) => what === 'stream_end')) expected.fewestRequests++
    expected.add(placed ? 'use' : 'refused', told.scripted.answeredAt, headAt)
  }

  /** The same target with what should name no other session or endpoint. */
  #disguised(target: string): string {
    const ghost = this.stage.name('ghost')
    return this.random.pick([
      `${target}${target.includes('?') ? '&' : '?'}endpointId=${ghost}`,
      `${target}${target.includes('?') ? '&' : '?'}sessionId=${ghost}&session_id=${ghost}`,
      target.includes('?')
        ? target.replace('?', `?session_id=${ghost}&sessionId=${ghost}&`)
        : `${target}?sessionId=${ghost}`
    ])
  }

  /** Notes the end of the stream, whichever side it comes from. */
  async #watch({ exchange, scripted }: Told, expected: ExpectedSession): Promise<void> {
    await exchange.end
    const byGateway = scripted.finishedAt > 0
    if (!byGateway) await seenBy(() => scripted.closedAt > 0)
    // The other side may see the end before the proxy has noted it.
    const [from, to] = byGateway
      ? [scripted.finishedAt, exchange.endAt]
      : [this.#leftAt || exchange.endAt, scripted.closedAt || Date.now()]
    expected.add('stream_end', from, to + NOTED_MS)
  }
  #leftAt = 0

  async #part(told: Told, expected: ExpectedSession, ended: Promise<void>): Promise<void> {
    const { stage, random } = this
    await random.weighted<() => Promise<void> | void>([
      [
        10,
        () => {
          this.#leftAt = Date.now()
          told.exchange.leave()
        }
      ],
      [8, () => told.scripted.finish(random.chance(0.3))],
      [2, () => this.#kill(told, expected)]
    ])()
    if (told.exchange.endAt === 0 && this.#leftAt === 0 && told.scripted.finishedAt === 0) {
      // An operator could not end it.
      await stage.turn(0)
      told.scripted.finish()
    }
    await ended
    this.#leftAt = 0
  }

  async #kill({ by, exchange, scripted }: Told, expected: ExpectedSession): Promise<void> {
    if (expected.sessionId === undefined) return
    const from = Date.now()
    const { ok } = await fetch(
      `${by.adminUrl}/api/mcp/connections/${encodeURIComponent(expected.sessionId)}`,
      { method: 'DELETE' }
    )
    if (!ok) return
    expected.add('killed', from, Date.now())
    await exchange.end
    scripted.finishedAt ||= Date.now()
  }
}
