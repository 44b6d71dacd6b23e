// Owns what is read of a request's body on its way: the start of it, and a bounded copy where it may name the client.
import type { IncomingMessage } from 'node:http'
import { unknownClient, type ClientInfo, readClientInfo } from '../../mcp/client-info.js'
import type { RpcCall } from '../../sessions/observations.js'
import { memberOf, parseJson } from '../../util/json.js'
import { text } from '../http/headers.js'

/** The most that is kept of a body that may name the client. Chosen: far more than clients send. */
const MAX_COPY_BYTES = 64 * 1024
/** So much of a body is searched for its method and name. Chosen: ample for the short members that SDKs write before them. */
const START_BYTES = 512

/**
 * The method of a JSON-RPC request, and `params.name`, where only short members come before them, as all SDKs write it. This
 * costs a tenth of parsing the body, and the same for bodies of all lengths.
 */
const START =
  /^\s*\{\s*(?:"(?:jsonrpc|id)"\s*:\s*(?:"[^"\\]*"|-?\d+|null)\s*,\s*)*"method"\s*:\s*"([^"\\]*)"(?:\s*,\s*"params"\s*:\s*\{\s*(?:"_meta"\s*:\s*\{[^{}]*\}\s*,\s*)?"name"\s*:\s*"([^"\\]*)")?/

/** What is kept of a request's body. */
export class RequestBody {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #bytes = 0

  /** `mayIdentify`: as much is kept as `clientInfo` needs; otherwise only what `call` needs. */
  constructor(mayIdentify: boolean) {
    this.#maxBytes = mayIdentify ? MAX_COPY_BYTES : START_BYTES
  }

  /** The next bytes of the body. */
  add(chunk: Buffer): void {
    if (this.#bytes < this.#maxBytes) this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** What the start of the body asks for; empty where it does not say. */
  call(): RpcCall {
    const [, rpcMethod, rpcName] = START.exec(this.#chunks[0]?.toString('utf8', 0, START_BYTES) ?? '') ?? []
    return { rpcMethod, rpcName }
  }

  /** `clientInfo` of an `initialize` request, or of the `_meta` of MCP 2026-07-28. */
  clientInfo(): ClientInfo {
    if (this.#bytes > this.#maxBytes) return unknownClient
    const params = memberOf(parseJson(Buffer.concat(this.#chunks).toString()), 'params')
    const meta = memberOf(memberOf(params, '_meta'), 'io.modelcontextprotocol/clientInfo')
    return readClientInfo(meta ?? memberOf(params, 'clientInfo'))
  }
}

/** What a request asks for. From MCP 2026-07-28 on its headers say it, before that only its body. */
export function callOf(req: IncomingMessage, body: RequestBody | undefined): RpcCall {
  const rpcMethod = text(req.headers['mcp-method'])
  if (rpcMethod !== undefined) return { rpcMethod, rpcName: text(req.headers['mcp-name']) }
  return body?.call() ?? {}
}
