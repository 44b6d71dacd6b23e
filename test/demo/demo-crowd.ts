// Owns the clients of the demo: each is a person with a program, who calls a tool again and again until it leaves.
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { jwt } from '../support/jwt.js'

const PROGRAMS = [
  ['claude-code', '2.1.0'],
  ['cursor', '1.9.2'],
  ['vscode', '1.120.0'],
  ['inspector', '2.12.0']
] as const
const PEOPLE = ['ann', 'bob', 'chen', 'dana', 'elif', 'fatima', 'goran', 'hana', 'ivan', 'joana']
/** Between two calls of a client. Chosen: twenty clients make a lively, readable log. */
const CALL_INTERVAL_MS = 300

interface DemoClient {
  client: Client
  transport: StreamableHTTPClientTransport
  /** Ends once the client has stopped calling. */
  working: Promise<void>
  isLeaving: boolean
}

/** All clients of the demo. */
export class DemoCrowd {
  /** Tool calls so far, and how many of them failed. */
  calls = 0
  failures = 0
  readonly #url: URL
  readonly #clients = new Map<string, DemoClient>()
  #arrived = 0

  constructor(url: URL) {
    this.#url = url
  }

  /** The next one connects and begins to work. */
  async arrive(): Promise<void> {
    const i = this.#arrived++
    const [name, version] = PROGRAMS[(i * 3 + Math.floor(i / PEOPLE.length)) % PROGRAMS.length]!
    const token = jwt({ iss: 'https://login.example.com', sub: PEOPLE[i % PEOPLE.length], client_id: name })
    const client = new Client({ name, version })
    const transport = new StreamableHTTPClientTransport(this.#url, {
      requestInit: { headers: { authorization: `Bearer ${token}` } }
    })
    await client.connect(transport)
    const one: DemoClient = { client, transport, working: Promise.resolve(), isLeaving: false }
    one.working = this.#work(one)
    this.#clients.set(transport.sessionId!, one)
  }

  /** The client of a session says goodbye with a DELETE and leaves. */
  async leave(sessionId: string): Promise<void> {
    const one = this.#clients.get(sessionId)
    if (!one) return
    this.#clients.delete(sessionId)
    one.isLeaving = true
    await one.working
    await one.transport.terminateSession()
    await one.client.close()
  }

  /** All leave. */
  async end(): Promise<void> {
    await Promise.all([...this.#clients.keys()].map(sessionId => this.leave(sessionId)))
  }

  async #work(one: DemoClient): Promise<void> {
    while (!one.isLeaving) {
      this.calls++
      await one.client
        .callTool({ name: 'echo', arguments: { message: 'hello' } })
        .catch(() => this.failures++)
      await sleep(CALL_INTERVAL_MS)
    }
  }
}
