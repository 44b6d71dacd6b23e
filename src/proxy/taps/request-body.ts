// Owns what is read of a request's body on its way: the start of it, and a bounded copy where it may name the client.
import type { IncomingMessage } from 'node:http'
import { unknownClient, type ClientInfo, readClientInfo } from '../../mcp/client-info.js'
import type { RpcCall } from '../../sessions/observations.js'
import { memberOf, parseJson } from '../../util/json.js'
import { text } from '../http/headers.js'

const MAX_COPY_BYTES = 64 * 1024
const START_BYTES = 512

/**
 * The method of a JSON-RPC request, and `params.name`, where nothing but short members comes before them, as all SDKs
 * write it: a tenth of what parsing costs, and the same for bodies of all lengths.
 */
const START =
  /^\s*\{\s*(?:"(?:jsonrpc|id)"\s*:\s*(?:"[^"\\]*"|-?\d+|null)\s*,\s*)*"method"\s*:\s*"([^"\\]*)"(?:\s*,\s*"params"\s*:\s*\{\s*(?:"_meta"\s*:\s*\{[^{}]*\}\s*,\s*)?"name"\s*:\s*"([^"\\]*)")?/

export class RequestBody {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #bytes = 0

  /** `mayIdentify`: as much is kept as `clientInfo` needs. */
  constructor(mayIdentify: boolean) {
    this.#maxBytes = mayIdentify ? MAX_COPY_BYTES : START_BYTES
  }

  add(chunk: Buffer): void {
    if (this.#bytes < this.#maxBytes) this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** Undefined where the start of the body does not tell. */
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

/** What a request asks for: its headers tell from MCP 2026-07-28 on, before that its body. */
export function callOf(req: IncomingMessage, body: RequestBody | undefined): RpcCall {
  const rpcMethod = text(req.headers['mcp-method'])
  if (rpcMethod !== undefined) return { rpcMethod, rpcName: text(req.headers['mcp-name']) }
  return body?.call() ?? {}
}
