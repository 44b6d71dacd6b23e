// Owns what is read of a request's body on its way, from a bounded copy: what it asks for, and how it names its client.
import type { IncomingMessage } from 'node:http'
import { unknownClient, type ClientInfo, readClientInfo, revisionOf } from '../../mcp/client-info.js'
import { decodedValue } from '../../mcp/header-values.js'
import { CALL_METHOD } from '../../mcp/methods.js'
import type { RpcCall } from '../../sessions/observations.js'
import { memberOf, parseJson } from '../../util/json.js'
import { text } from '../http/headers.js'

/** The most that is kept of a body. Chosen: far more than clients send to name themselves. */
const MAX_COPY_BYTES = 64 * 1024
/** A body that comes in more parts than this is copied together: each part takes some hundred bytes of its own. Chosen. */
const MAX_PARTS = 64
/** So much of a body is searched for its method and name. Chosen: ample for the short members that SDKs write before them. */
const START_BYTES = 512

/**
 * The method of a JSON-RPC request, and `params.name`, where only short members come before them, as all SDKs write it. This
 * costs a tenth of parsing the body, and the same for bodies of all lengths.
 */
const START =
  /^\s*\{\s*(?:"(?:jsonrpc|id)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|null|true|false)\s*,\s*)*"method"\s*:\s*"([^"\\]*)"(?:\s*,\s*"params"\s*:\s*\{\s*(?:"_meta"\s*:\s*\{[^{}]*\}\s*,\s*)?"name"\s*:\s*"([^"\\]*)")?/

/** A body that names its client has this, also where it escapes the slash before it, as PHP does. */
const CLIENT_INFO = Buffer.from('clientInfo"')
/** Each message has it (JSON-RPC 2.0, §4). */
const JSON_RPC = Buffer.from('"jsonrpc"')
/** `{}` says nothing. */
const EMPTY_OBJECT_BYTES = 2
const META_NAME = Buffer.from('"_meta"')
const INITIALIZE = Buffer.from('"initialize"')
/** The end of `"tools/call"`, also where the slash is escaped. */
const CALL = Buffer.from('/call"')
/** What the second and later rounds of a call have in their params (MCP 2026-07-28, `InputRequiredResult`), one or both. */
const ROUND_MEMBERS = ['requestState', 'inputResponses']
const ROUND_NAMES = ROUND_MEMBERS.map(name => Buffer.from(`"${name}"`))
/** What each request of MCP 2026-07-28 has in `_meta`. */
const META_CLIENT_INFO = 'io.modelcontextprotocol/clientInfo'
const META_PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion'
/** `_meta` as SDKs write it; searched for in this many bytes around `clientInfo"`, which are ample for that. */
const META =
  /"_meta"\s*:\s*\{[^{}]*"io\.modelcontextprotocol\\?\/clientInfo"\s*:\s*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"version"\s*:\s*"([^"\\]*)"/
const META_BYTES = 512

/** What a span says of a message beside what it asks for (OpenTelemetry, "Semantic conventions for Model Context Protocol"). */
export interface SentMessage {
  /** The `id` of a request; undefined for notifications. */
  rpcId: string | undefined
  resourceUri: string | undefined
  /** Of `_meta`, with the names of the header fields (SEP-414). */
  traceparent: string | undefined
  tracestate: string | undefined
  /** Of `_meta` (MCP 2026-07-28); for `initialize`, the one that was negotiated, once it was. */
  protocolVersion: string | undefined
}

/** What is kept of a request's body. */
export class RequestBody {
  #parts: Buffer[] = []
  #bytes = 0
  /** Those of all messages, once they were asked for. */
  #meta: unknown[] | undefined
  /** Whether there may be any that can be read, once that was asked for. */
  #mayHaveMeta: boolean | undefined

  /** The next bytes of the body. */
  add(chunk: Buffer): void {
    if (this.#bytes < MAX_COPY_BYTES) this.#parts.push(chunk)
    if (this.#parts.length > MAX_PARTS) this.#joined()
    this.#bytes += chunk.length
  }

  /** What the body asks for: what its start says, or that it has an `initialize` request anywhere; empty for others. */
  call(): RpcCall {
    const body = this.#joined()
    const [, rpcMethod, rpcName] = START.exec(body.toString('utf8', 0, START_BYTES)) ?? []
    if (rpcMethod !== undefined) return { rpcMethod, rpcName }
    const mayInitialize = body.includes(INITIALIZE)
    return mayInitialize && this.#messages().some(isInitialize) ? { rpcMethod: 'initialize' } : {}
  }

  /** Whether a call of a tool may be a later round of one. */
  get mayBeFurtherRound(): boolean {
    const body = this.#joined()
    return ROUND_NAMES.some(name => body.includes(name))
  }

  /** The tools of which a call begins with it, several in a batch; undefined for one without a name. */
  toolsCalled(): (string | undefined)[] {
    if (!this.#joined().includes(CALL)) return []
    return this.#messages()
      .filter(message => memberOf(message, 'method') === CALL_METHOD && !isFurtherRound(message))
      .map(message => textOf(memberOf(memberOf(message, 'params'), 'name')))
  }

  /** Whether the body is no JSON-RPC, such as a form or the JSON of another API. One of which the end is not kept may be. */
  get isForeign(): boolean {
    const mayTell = this.#bytes > EMPTY_OBJECT_BYTES && this.#bytes <= MAX_COPY_BYTES
    return mayTell && !this.#joined().includes(JSON_RPC)
  }

  /** Whether the body may name its client; if not, `clientInfo` need not be asked. */
  get mayNameClient(): boolean {
    return this.#joined().includes(CLIENT_INFO)
  }

  /** The first `_meta` of a body that has these bytes; undefined for others, and for bodies that are not kept whole. */
  metaWith(needle: Buffer): unknown {
    const body = this.#joined()
    this.#mayHaveMeta ??= this.#bytes <= MAX_COPY_BYTES && body.includes(META_NAME)
    if (!this.#mayHaveMeta || !body.includes(needle)) return undefined
    return (this.#meta ??= this.#messages()
      .map(message => memberOf(memberOf(message, 'params'), '_meta'))
      .filter(meta => meta !== undefined))[0]
  }

  /** The first message of a whole body; undefined for others. It is parsed for that. */
  sentMessage(): SentMessage | undefined {
    const [message] = this.#messages()
    if (message === undefined) return undefined
    const [id, params] = [memberOf(message, 'id'), memberOf(message, 'params')]
    const meta = memberOf(params, '_meta')
    return {
      rpcId: typeof id === 'number' ? String(id) : textOf(id),
      resourceUri: textOf(memberOf(params, 'uri')),
      traceparent: textOf(memberOf(meta, 'traceparent')),
      tracestate: textOf(memberOf(meta, 'tracestate')),
      protocolVersion: revisionOf(memberOf(meta, META_PROTOCOL_VERSION)) ?? undefined
    }
  }

  /** `clientInfo` of an `initialize` request, or what the `_meta` of MCP 2026-07-28 says. */
  clientInfo(): ClientInfo {
    if (!this.mayNameClient) return unknownClient
    if (this.#bytes > MAX_COPY_BYTES) return this.metaClientInfo()
    const messages = this.#messages()
    const initialize = messages.find(isInitialize)
    const params = memberOf(initialize ?? messages[0], 'params')
    const meta = memberOf(params, '_meta')
    return {
      ...readClientInfo(memberOf(meta, META_CLIENT_INFO) ?? (initialize && memberOf(params, 'clientInfo'))),
      protocolVersion: revisionOf(memberOf(meta, META_PROTOCOL_VERSION))
    }
  }

  /** The same of `_meta` only. It is asked for each request without a session, so it avoids to parse the body. */
  metaClientInfo(): ClientInfo {
    const body = this.#joined()
    const at = body.indexOf(CLIENT_INFO)
    if (at === -1) return unknownClient
    const isOnly = body.indexOf(CLIENT_INFO, at + 1) === -1
    const around = isOnly ? body.toString('utf8', Math.max(0, at - META_BYTES), at + META_BYTES) : ''
    const [, name, version] = META.exec(around) ?? []
    if (name !== undefined) return readClientInfo({ name, version })
    const meta = memberOf(memberOf(this.#messages()[0], 'params'), '_meta')
    return readClientInfo(memberOf(meta, META_CLIENT_INFO))
  }

  /** The messages of a whole body: one, or those of a JSON-RPC batch (MCP 2025-03-26). */
  #messages(): unknown[] {
    if (this.#bytes > MAX_COPY_BYTES) return []
    const json = parseJson(this.#joined().toString())
    return Array.isArray(json) ? json : [json]
  }

  #joined(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts)]
    return this.#parts[0]!
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

const isFurtherRound = (call: unknown): boolean =>
  ROUND_MEMBERS.some(name => memberOf(memberOf(call, 'params'), name) !== undefined)

const isInitialize = (message: unknown): boolean => memberOf(message, 'method') === 'initialize'

const NO_TOOLS: readonly string[] = []

/** What a request asks for, and which calls of tools begin with it. */
export interface Asked extends RpcCall {
  /** The tools of the calls that begin with it; undefined for one whose name cannot be read. */
  tools: readonly (string | undefined)[]
  /** It is a round of a call that began with another request. */
  isFurtherRound: boolean
}

/** What a request asks for. From MCP 2026-07-28 on its headers say it, before that only its body. */
export function askedOf(req: IncomingMessage, body: RequestBody | undefined): Asked {
  const named = text(req.headers['mcp-method'])
  const call = named === undefined ? (body?.call() ?? {}) : { rpcMethod: named, rpcName: nameIn(req) }
  const { rpcMethod, rpcName } = call
  const isCall = rpcMethod === CALL_METHOD
  if (isCall && rpcName !== undefined && body?.mayBeFurtherRound !== true)
    return { rpcMethod, rpcName, tools: [rpcName], isFurtherRound: false }
  if (rpcMethod !== undefined && !isCall)
    return { rpcMethod, rpcName, tools: NO_TOOLS, isFurtherRound: false }
  const tools = body?.toolsCalled() ?? NO_TOOLS
  const isFurtherRound = isCall && tools.length === 0 && body?.mayBeFurtherRound === true
  const isUnread = isCall && tools.length === 0 && !isFurtherRound
  return { rpcMethod, rpcName: rpcName ?? tools[0], tools: isUnread ? [rpcName] : tools, isFurtherRound }
}

function nameIn(req: IncomingMessage): string | undefined {
  const name = text(req.headers['mcp-name'])
  return name === undefined ? undefined : decodedValue(name)
}
