// Owns what is read of a request's body on its way, from a bounded copy: what it asks for, and how it names its client.
import type { IncomingMessage } from 'node:http'
import { unknownClient, type ClientInfo, readClientInfo, revisionOf } from '../../mcp/client-info.js'
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
/** What each request of MCP 2026-07-28 has in `_meta`. */
const META_CLIENT_INFO = 'io.modelcontextprotocol/clientInfo'
const META_PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion'
/** `_meta` as SDKs write it; searched for in this many bytes around `clientInfo"`, which are ample for that. */
const META =
  /"_meta"\s*:\s*\{[^{}]*"io\.modelcontextprotocol\\?\/clientInfo"\s*:\s*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"version"\s*:\s*"([^"\\]*)"/
const META_BYTES = 512

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

const isInitialize = (message: unknown): boolean => memberOf(message, 'method') === 'initialize'

/** What a request asks for. From MCP 2026-07-28 on its headers say it, before that only its body. */
export function callOf(req: IncomingMessage, body: RequestBody | undefined): RpcCall {
  const rpcMethod = text(req.headers['mcp-method'])
  if (rpcMethod !== undefined) return { rpcMethod, rpcName: text(req.headers['mcp-name']) }
  return body?.call() ?? {}
}
