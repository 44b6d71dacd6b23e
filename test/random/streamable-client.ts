// Owns clients of the Streamable HTTP transport: one session after the other, each with a life that is drawn.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'
import { answerThat, type Meaning } from './answers.js'
import { HeldSession, newSessionId } from './held-session.js'
import type { What } from './oracle.js'
import type { Script } from './scripted-gateway.js'
import { ENDPOINTS, encoded, spelled, type Stage, type Told } from './stage.js'
import { seenBy, StandaloneStream } from './standalone-stream.js'
import { type Claim, Person } from './whose.js'

const EVENTS = 'text/event-stream'
const JSON_TYPES = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const JSON_ANSWER = { 'content-type': 'application/json' }
const EVENTS_ANSWER = { 'content-type': EVENTS }
const STRANGE_METHODS = ['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'TRACE', 'PROPFIND']
const call = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}'

export class StreamableClient {
  readonly #stage: Stage
  readonly #random: Random
  #held!: HeldSession
  #endpointId = ''
  readonly #person: Person

  constructor(
    stage: Stage,
    random: Random,
    readonly onHeld: (held: HeldSession) => void
  ) {
    this.#stage = stage
    this.#random = random
    this.#person = new Person(random)
  }

  async live(): Promise<void> {
    const random = this.#random
    this.#endpointId = random.pick(ENDPOINTS)
    if (random.chance(0.8)) await this.#initialize()
    else this.#hold(this.#newSession(this.#stage.name('unseen'), null))
    for (let left = random.int(1, 20); left > 0; left--) {
      if (!(await this.#stage.turn(this.#pauseMs()))) break
      await this.#act()
    }
    if (random.chance(0.5)) await this.#delete()
    for (let left = random.int(0, 2); left > 0; left--) await this.#ask('POST', this.#meaning())
    if (random.chance(0.2)) await this.#ask(random.pick(STRANGE_METHODS), 'gone')
    for (const stream of this.#held.streams) if (random.chance(0.8)) await stream.leave()
  }

  #pauseMs(): number {
    const { idleMs } = this.#stage.setup
    if (idleMs > 0 && this.#random.chance(0.06)) return idleMs + this.#random.int(-800, 2_500)
    return this.#random.int(10, 400)
  }

  async #act(): Promise<void> {
    const random = this.#random
    const acts: [number, () => Promise<unknown>][] = [
      [40, () => this.#ask('POST', this.#meaning())],
      [6, () => this.#slowCall()],
      [8, () => this.#listen()],
      [10, () => this.#streamEvent()],
      [4, () => this.#ask('GET', this.#meaning(), { accept: 'application/json' })],
      [4, () => this.#ask(random.pick(STRANGE_METHODS), random.pick(['use', 'gone', 'suspect']))],
      [3, () => this.#ask('POST', 'suspect', { 'mcp-protocol-version': '2026-07-28' })],
      [3, () => this.#leaveEarly()],
      [4, () => this.#atOnce()],
      [2, () => this.#replace()],
      [2, () => this.#initialize(this.#held.id)],
      [2, () => this.#delete()],
      [2, () => this.#kill()]
    ]
    await random.weighted(acts)()
  }

  /** Of a request that a client sends; a gateway that forgot the session says so. */
  #meaning(): Meaning {
    if (this.#held.forgotten) return this.#random.pick(['gone', 'gone', 'suspect'])
    return this.#random.weighted<Meaning>([
      [30, 'use'],
      [3, 'refused'],
      [2, 'gone'],
      [2, 'suspect']
    ])
  }

  #newSession(agent: string, clientName: string | null | undefined): HeldSession {
    const random = this.#random
    return new HeldSession(this.#endpointId, newSessionId(random), agent, clientName, random.int(0, 2 ** 31))
  }

  /** From now on it is the client's session, and the gateway knows what to say when the proxy asks for it. */
  #hold(held: HeldSession): void {
    this.#held = held
    this.#stage.sessions.push(held.expected)
    this.#stage.gateway.sessions.set(held.id, held)
    this.onHeld(held)
  }

  /** `stale`: with the id of a session before, which this ends not. */
  async #initialize(stale?: string): Promise<void> {
    const random = this.#random
    const agent = this.#stage.name('Streamable')
    const name = random.pick([agent, `客户 ${agent}`, `"${agent}"`])
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name, version: '1' } }
    const message = random.chance(0.8)
      ? { jsonrpc: '2.0', id: 0, method: 'initialize', params }
      : { params, method: 'initialize', id: 0, jsonrpc: '2.0' }
    const { claim, fields } = this.#person.claim()
    const headers = {
      ...JSON_TYPES,
      ...fields,
      'user-agent': agent,
      ...(stale === undefined ? {} : { 'mcp-session-id': stale })
    }
    const script = random.pick<Script>([
      {
        status: 200,
        headers: JSON_ANSWER,
        body: '{"jsonrpc":"2.0","id":0,"result":{}}'
      },
      { status: 200, headers: EVENTS_ANSWER, body: 'id: 0\ndata: \n\ndata: {}\n\n' }
    ])
    const before = stale === undefined ? undefined : this.#held
    const held = this.#newSession(agent, name)
    const told = {
      claim,
      ...this.#stage.send(
        random,
        { method: 'POST', path: this.#path(), headers, body: JSON.stringify(message) },
        { ...script, headers: { ...script.headers, 'mcp-session-id': held.id } }
      )
    }
    await told.exchange.end
    if (before) {
      before.expected.mostRequests++
      before.expected.add('refused', told.exchange.sentAt, told.exchange.endAt)
      for (const stream of before.streams) await stream.leave()
    }
    this.#hold(held)
    this.#note(held, told, 'use')
    if (held.expected.fewestRequests === 0) held.expected.clientName = undefined
  }

  #path(): string {
    return spelled(this.#random, `/stream/${encoded(this.#endpointId)}`, 'stream')
  }

  #sendOf(
    held: HeldSession,
    method: string,
    script: Script,
    headers: Record<string, string> = {}
  ): Told & { claim: Claim } {
    const body = method === 'POST' ? call : undefined
    const { claim, fields } = this.#person.claim(script.status >= 300)
    const all = {
      ...JSON_TYPES,
      ...fields,
      'user-agent': held.agent,
      'mcp-session-id': held.id,
      ...headers
    }
    if (script.status < 300) held.expected.owner.note(claim, false)
    return {
      claim,
      ...this.#stage.send(this.#random, { method, path: this.#path(), headers: all, body }, script)
    }
  }

  async #ask(
    method: string,
    meaning: Meaning,
    headers: Record<string, string> = {},
    delayMs = 0
  ): Promise<void> {
    const held = this.#held
    const silent =
      headers['mcp-protocol-version'] === '2026-07-28' ||
      (method === 'GET' ? headers['accept'] !== EVENTS : method !== 'POST' && method !== 'DELETE')
    const script = { ...answerThat(this.#random, meaning, method !== 'POST'), delayMs }
    if (method === 'HEAD') delete script.body
    const told = this.#sendOf(held, method, script, headers)
    await told.exchange.end
    if (silent && script.status < 300) this.#note(held, told, 'unknown')
    else this.#note(held, told, silent ? 'refused' : meaning)
  }

  /** What a whole exchange means for the session. */
  #note(
    { expected }: HeldSession,
    { exchange, scripted, claim }: Told & { claim: Claim },
    meaning: What
  ): void {
    const { sentAt, headAt, endAt } = exchange
    expected.mostRequests++
    if (scripted.script.status < 300) expected.owner.note(claim, false)
    if (scripted.receivedAt === 0) return expected.add('refused', sentAt, endAt)
    if (scripted.answeredAt === 0 || headAt === 0 || endAt === 0)
      return expected.add('unknown', scripted.receivedAt, Math.max(endAt, scripted.closedAt))
    if (meaning === 'use') {
      expected.fewestRequests++
      expected.owner.note(claim, true)
    }
    expected.add(meaning, scripted.answeredAt, meaning === 'gone' ? endAt : headAt)
    if (endAt > headAt) expected.add('refused', headAt, endAt)
  }

  /** A call that takes its time, before its answer or within it. */
  async #slowCall(): Promise<void> {
    const held = this.#held
    const { idleMs } = this.#stage.setup
    const ms = this.#random.chance(0.15) ? Math.min(idleMs + 2_000, 8_000) : this.#random.int(50, 1_500)
    const stream = this.#random.chance(0.5)
    const script: Script = stream
      ? { status: 200, headers: EVENTS_ANSWER, body: 'id: 0\ndata: \n\n', stream }
      : { ...answerThat(this.#random, this.#meaning() === 'use' ? 'use' : 'refused'), delayMs: ms }
    if (held.forgotten) return
    const told = this.#sendOf(held, 'POST', script)
    if (stream) setTimeout(() => told.scripted.finish(), ms)
    const { exchange, scripted } = told
    await exchange.end
    const { expected } = held
    this.#note(held, told, script.status < 300 ? 'use' : 'refused')
    if (scripted.receivedAt === 0) return
    expected.add('present', exchange.sentAt, scripted.receivedAt)
    const end = script.status < 300 && scripted.answeredAt > 0 ? 'absent' : 'rejected'
    expected.add(end, scripted.finishedAt || scripted.receivedAt, exchange.endAt)
  }

  async #listen(): Promise<void> {
    const held = this.#held
    if (held.streams.some(({ isOpen }) => isOpen) || held.forgotten)
      return this.#ask('GET', held.forgotten ? 'gone' : this.#random.pick(['refused', 'suspect', 'gone']), {
        accept: EVENTS
      })
    const script = {
      status: 200,
      headers: EVENTS_ANSWER,
      body: ': here\n\n',
      stream: true
    }
    const told = this.#sendOf(held, 'GET', script, { accept: EVENTS })
    await told.exchange.head
    held.expected.mostRequests++
    if (told.exchange.headAt === 0 || told.scripted.answeredAt === 0)
      return held.expected.add('unknown', told.exchange.sentAt, Date.now())
    held.expected.fewestRequests++
    held.expected.add('use', told.scripted.answeredAt, told.exchange.headAt)
    held.streams.push(new StandaloneStream(told, held.expected, this.#stage.setup))
  }

  async #streamEvent(): Promise<void> {
    const stream = this.#held.streams.find(({ isOpen }) => isOpen)
    if (!stream) return this.#ask('POST', this.#meaning())
    const random = this.#random
    await random.weighted([
      [5, () => stream.message()],
      [2, () => stream.comment()],
      [2, () => stream.leave()],
      [2, () => stream.finish(random.chance(0.2))]
    ])()
  }

  async #leaveEarly(): Promise<void> {
    const held = this.#held
    const told = this.#sendOf(held, 'POST', { status: 200, body: '{}', delayMs: 3_000 })
    await sleep(this.#random.int(20, 200))
    const leftAt = Date.now()
    told.exchange.leave()
    await told.exchange.end
    await seenBy(() => told.scripted.closedAt > 0)
    held.expected.mostRequests++
    if (told.scripted.receivedAt > 0)
      held.expected.add('left', told.exchange.sentAt, Math.max(told.scripted.closedAt, leftAt))
  }

  /** Two requests, whose answers come close to each other through two proxies. */
  async #atOnce(): Promise<void> {
    const [first, second] = [this.#meaning(), this.#meaning()]
    await Promise.all([
      this.#ask('POST', first, {}, this.#random.int(0, 60)),
      this.#ask('POST', second, {}, this.#random.int(0, 60))
    ])
  }

  /** The gateway issues another id in its answer. */
  async #replace(): Promise<void> {
    const before = this.#held
    if (before.forgotten) return
    const { setup } = this.#stage
    // Where the old session's name comes through another process, it may come too late for the new one.
    const isOne = setup.proxies.length === 1 && setup.proxies[0] === 1
    const { fewestRequests, clientName } = before.expected
    const after = this.#newSession(before.agent, isOne && fewestRequests > 0 ? clientName : undefined)
    const told = this.#sendOf(before, 'POST', {
      status: 200,
      headers: { ...JSON_ANSWER, 'mcp-session-id': after.id },
      body: '{"jsonrpc":"2.0","id":7,"result":{}}'
    })
    await told.exchange.end
    this.#note(before, told, 'gone')
    this.#hold(after)
    this.#note(after, told, 'use')
    after.expected.fewestRequests = 0
    for (const stream of before.streams) await stream.leave()
  }

  async #delete(): Promise<void> {
    const held = this.#held
    // Of a session of which nobody heard, it would end what comes later.
    if (held.expected.fewestRequests === 0) return this.#ask('POST', this.#meaning())
    if (held.forgotten || this.#random.chance(0.3))
      return this.#ask('DELETE', held.forgotten ? 'gone' : this.#random.pick(['refused', 'gone', 'suspect']))
    const told = this.#sendOf(held, 'DELETE', { status: this.#random.pick([200, 202, 204]) })
    await told.exchange.end
    this.#note(held, told, 'delete')
  }

  /** An operator ends it, or cannot. */
  async #kill(): Promise<void> {
    const held = this.#held
    held.killStatus = this.#random.pick([202, 202, 204, 405, 500])
    const { kills } = held
    const { adminUrl } = this.#random.pick(this.#stage.fleet)
    const from = Date.now()
    const url = `${adminUrl}/api/mcp/connections/${encodeURIComponent(held.expected.sessionId!)}`
    const { ok, status } = await fetch(url, { method: 'DELETE' })
    if (ok && held.killStatus >= 400) this.#stage.violations.push(`killed, but refused: ${held.id}`)
    if (status === 502 && held.kills > kills && held.killStatus < 300)
      this.#stage.violations.push(`502 for an accepted DELETE: ${held.id}`)
    held.expected.add(ok ? 'killed' : 'refused', from, Date.now())
  }
}
