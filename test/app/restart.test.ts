// Owns that a rolling restart behind a load balancer loses nothing: two proxies, one store, clients that never pause.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { checkInvariant } from '../support/invariant.js'
import { Turnstile } from '../support/turnstile.js'

const CLIENTS = 20
const UNDER_LOAD_MS = 1_000
const CHECK_INTERVAL_MS = 50
/** Several health checks, on a busy machine too. */
const DRAIN_DELAY = '1s'

/** A balancer of TCP connections, as one in front of containers: in turn, to those whose `/readyz` says 200. */
class Balancer {
  readonly backends: { turnstile: Turnstile; ready: boolean }[] = []
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer(client => this.#forward(client))
  readonly #checking: NodeJS.Timeout
  #turn = 0

  private constructor() {
    this.#checking = setInterval(() => void this.#check(), CHECK_INTERVAL_MS)
  }

  static async start(t: Test): Promise<Balancer> {
    const balancer = new Balancer()
    balancer.#server.listen(0, '127.0.0.1')
    await once(balancer.#server, 'listening')
    t.teardown(() => {
      clearInterval(balancer.#checking)
      balancer.#sockets.forEach(socket => socket.destroy())
      balancer.#server.close()
    })
    return balancer
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async #check(): Promise<void> {
    for (const backend of this.backends) {
      const answer = await fetch(`${backend.turnstile.adminUrl}/readyz`).catch(() => undefined)
      await answer?.arrayBuffer()
      backend.ready = answer?.status === 200
    }
  }

  #forward(client: Socket): void {
    const ready = this.backends.filter(backend => backend.ready)
    const { turnstile } = ready[this.#turn++ % ready.length]!
    const server = connect(Number(new URL(turnstile.proxyUrl).port), '127.0.0.1')
    for (const [from, to] of [
      [client, server],
      [server, client]
    ] as const) {
      this.#sockets.add(from.setNoDelay(true))
      from.on('error', () => to.destroy())
      from.on('close', () => this.#sockets.delete(from))
      from.pipe(to)
    }
  }
}

/** Status and session id of one request. */
function send(
  agent: Agent,
  url: string,
  method: string,
  session?: string
): Promise<{ status: number; session: string }> {
  return new Promise((resolve, reject) => {
    const headers = session === undefined ? {} : { 'mcp-session-id': session }
    request(url, { method, headers, agent }, response => {
      const id = response.headers['mcp-session-id'] as string
      response.resume().once('end', () => resolve({ status: response.statusCode!, session: id }))
    })
      .once('error', reject)
      .end(method === 'POST' ? '{}' : undefined)
  })
}

void t.test('a rolling restart under load', { timeout: 120_000 }, async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const start = (name: string): Promise<Turnstile> =>
    Turnstile.start(gateway.url, `${directory}/${name}`, [
      '--store',
      `sqlite:${directory}/ledger.db`,
      '--drain-delay',
      DRAIN_DELAY
    ])
  const balancer = await Balancer.start(t)
  t.teardown(() => Promise.all(balancer.backends.map(({ turnstile }) => turnstile.stop())))
  for (const name of ['one', 'two']) balancer.backends.push({ turnstile: await start(name), ready: true })

  let running = true
  let sent = 0
  const failures: unknown[] = []
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const url = `${balancer.url}/stream/e`
  const expect = async (expected: number, method: string, session?: string): Promise<string> => {
    sent++
    const answer = await send(agent, url, method, session)
    if (answer.status !== expected) throw new Error(`${method}: ${answer.status}`)
    return answer.session
  }
  const client = async (i: number): Promise<void> => {
    while (running) {
      try {
        const session = await expect(200, 'POST')
        for (let use = 0; use < 5; use++) await expect(202, 'POST', session)
        if (i % 2 === 0) await expect(202, 'DELETE', session)
        await sleep(5)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  const load = Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)))
  for (const [i, name] of ['one', 'two'].entries()) {
    await sleep(UNDER_LOAD_MS)
    t.equal(await balancer.backends[i]!.turnstile.stop(), 0)
    balancer.backends[i] = { turnstile: await start(name), ready: false }
    while (!balancer.backends[i].ready) await sleep(CHECK_INTERVAL_MS)
  }
  await sleep(UNDER_LOAD_MS)
  running = false
  await load
  t.comment(`${sent} requests`)
  t.same(failures, [], 'no request is lost')
  const { turnstile } = balancer.backends[0]!
  for (const backend of balancer.backends) await backend.turnstile.shipped()
  t.equal(await turnstile.count('e'), gateway.sessions.size, 'nor is a session')
  await checkInvariant(t, turnstile)
})
