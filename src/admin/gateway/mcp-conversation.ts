// Owns a conversation with a gateway as an MCP client, over each transport: requests and their responses. The client library of
// MCP does that too, but brings 20 MB of packages for OAuth and for checking schemas, which one list of tools does not need.
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream'
import { memberOf, parseJson } from '../../util/json.js'

/** The revision that is offered; the gateway says which one counts. */
const PROTOCOL_VERSION = '2025-11-25'

/** The result of a request. */
export type Result = Record<string, unknown>

/** A session with a gateway. */
export interface Conversation {
  /** Sends a request; its result. Rejects with what the gateway says instead. */
  ask(method: string, params?: object): Promise<Result>
  notify(method: string): Promise<void>
  /** Ends the session. */
  end(): Promise<void>
}

/** Opens the session with `initialize` (MCP 2025-11-25, Lifecycle). */
export async function begin<T extends Conversation>(conversation: T): Promise<T> {
  const clientInfo = { name: 'mcp-turnstile', version: '1' }
  await conversation.ask('initialize', { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo })
  await conversation.notify('notifications/initialized')
  return conversation
}

/** Speaks Streamable HTTP (MCP 2025-11-25, Transports). */
export class StreamableConversation implements Conversation {
  readonly #url: URL
  readonly #fetch: typeof globalThis.fetch
  #sessionId: string | null = null
  #protocolVersion: string | undefined
  #lastId = 0

  constructor(url: URL, fetch: typeof globalThis.fetch) {
    this.#url = url
    this.#fetch = fetch
  }

  async ask(method: string, params: object = {}): Promise<Result> {
    const id = ++this.#lastId
    const response = await this.#send('POST', { jsonrpc: '2.0', id, method, params })
    this.#sessionId ??= response.headers.get('mcp-session-id')
    const isStream = /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '')
    const result = isStream
      ? await resultIn(eventsOf(response), id)
      : resultOf(parseJson(await response.text()))
    if (method === 'initialize') this.#protocolVersion = String(result['protocolVersion'])
    return result
  }

  async notify(method: string): Promise<void> {
    const response = await this.#send('POST', { jsonrpc: '2.0', method })
    await response.body?.cancel()
  }

  async end(): Promise<void> {
    if (this.#sessionId !== null) await (await this.#send('DELETE')).body?.cancel()
  }

  #send(method: 'POST' | 'DELETE', message?: object): Promise<Response> {
    return send(this.#fetch, this.#url, {
      method,
      headers: {
        accept: 'application/json, text/event-stream',
        ...(this.#sessionId !== null && { 'mcp-session-id': this.#sessionId }),
        ...(this.#protocolVersion !== undefined && { 'mcp-protocol-version': this.#protocolVersion }),
        ...(message && { 'content-type': 'application/json' })
      },
      ...(message && { body: JSON.stringify(message) })
    })
  }
}

/** Speaks HTTP+SSE (MCP 2024-11-05, Transports): the session lasts as long as its stream. */
export class LegacyConversation implements Conversation {
  readonly #fetch: typeof globalThis.fetch
  readonly #events: Events
  readonly #target: URL
  #lastId = 0

  private constructor(fetch: typeof globalThis.fetch, events: Events, target: URL) {
    this.#fetch = fetch
    this.#events = events
    this.#target = target
  }

  /** Opens the stream. Rejects when its first event does not tell where messages go, or leads to another origin. */
  static async open(url: URL, fetch: typeof globalThis.fetch): Promise<LegacyConversation> {
    const events = eventsOf(await send(fetch, url, { headers: { accept: 'text/event-stream' } }))
    const { value: first } = await events.next()
    if (first?.event !== 'endpoint') throw new Error('its stream does not begin with an endpoint event')
    const target = new URL(first.data, url)
    if (target.origin !== url.origin) throw new Error('its endpoint event leads to another origin')
    return new LegacyConversation(fetch, events, target)
  }

  async ask(method: string, params: object = {}): Promise<Result> {
    const id = ++this.#lastId
    await this.#post({ jsonrpc: '2.0', id, method, params })
    return await resultIn(this.#events, id)
  }

  async notify(method: string): Promise<void> {
    await this.#post({ jsonrpc: '2.0', method })
  }

  /** The session ends with the stream, which ends with what `fetch` opened. */
  end(): Promise<void> {
    return Promise.resolve()
  }

  async #post(message: object): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const response = await send(this.#fetch, this.#target, {
      method: 'POST',
      headers,
      body: JSON.stringify(message)
    })
    await response.body?.cancel()
  }
}

async function send(fetch: typeof globalThis.fetch, url: URL, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  if (response.ok) return response
  await response.body?.cancel()
  throw new Error(`it responds with ${response.status}`)
}

type Events = AsyncIterator<EventSourceMessage, undefined>

function eventsOf({ body }: Response): Events {
  if (body === null) throw new Error('it responds without a body')
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
  return events[Symbol.asyncIterator]() as Events
}

/** The result of the request among the messages. Other messages are passed over. */
async function resultIn(events: Events, id: number): Promise<Result> {
  for (;;) {
    const { value } = await events.next()
    if (value === undefined) throw new Error('it responds without a result')
    const message = parseJson(value.data)
    if (memberOf(message, 'id') === id) return resultOf(message)
  }
}

/** The result in a response. Throws the error that it may hold. */
function resultOf(response: unknown): Result {
  const error = memberOf(response, 'error')
  if (error !== undefined)
    throw new Error(`it responds with the error ${JSON.stringify(memberOf(error, 'message'))}`)
  const result = memberOf(response, 'result')
  if (typeof result !== 'object' || result === null) throw new Error('it responds without a result')
  return result as Result
}
