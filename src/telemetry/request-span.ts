// Owns what a span says of one request, after the OpenTelemetry semantic conventions for MCP and those for HTTP servers.
//
// https://github.com/open-telemetry/semantic-conventions-genai, v0.1.0, docs/gen-ai/mcp.md, "Server".
import { CALL_METHOD } from '../mcp/methods.js'
import { type StoredId, storedSessionId } from '../mcp/stored-ids.js'
import type { AccessEntry } from '../proxy/access-entry.js'
import { UNKNOWN_ERROR } from '../proxy/taps/response-outcome.js'
import type { Attributes } from './opentelemetry.js'

/** The longest name, and text of an attribute. Chosen: as in the access log, for clients choose what is in it. */
export const MAX_TEXT = 200
/** Below it, the failure of a request without a message is the client's, and no error of the span (HTTP conventions, "Status"). */
const FIRST_SERVER_ERROR = 500
/** `error.type` where the client left before the end of the response; the metrics say the same. */
const CANCELLED = 'cancelled'

/** A span, without its times and its parent. */
export interface RequestSpan {
  name: string
  /** Texts may be longer than `MAX_TEXT`. */
  attributes: Attributes
  /** `error.type`; undefined where all went well. */
  error: string | undefined
}

/** `maskId`: a session id as it may be shown. */
export function requestSpan(entry: AccessEntry, maskId: (sessionId: StoredId) => string): RequestSpan {
  const { method, sessionId, sent } = entry
  const storedId = sessionId === undefined ? undefined : storedSessionId(sessionId)
  const target = targetOf(entry)
  const error = errorOf(entry)
  const attributes: Attributes = {
    'error.type': error,
    'gen_ai.operation.name': method === CALL_METHOD ? 'execute_tool' : undefined,
    ...target.attributes,
    'http.request.method': entry.httpMethod,
    'http.request.size': entry.bytesIn,
    'http.response.size': entry.bytesOut,
    'http.response.status_code': entry.status,
    'jsonrpc.request.id': sent?.rpcId,
    'mcp.method.name': method,
    'mcp.protocol.version': entry.protocolVersion ?? sent?.protocolVersion,
    'mcp.session.id': storedId === undefined ? undefined : maskId(storedId),
    'network.protocol.name': 'http',
    'network.protocol.version': entry.httpVersion,
    'network.transport': 'tcp',
    'rpc.response.status_code': isCode(entry.failure) ? entry.failure : undefined,
    'turnstile.endpoint': entry.endpointId,
    'turnstile.error': entry.error,
    'turnstile.request.id': entry.requestId,
    'turnstile.upstream': entry.upstream,
    'url.path': entry.path
  }
  const name = [method ?? entry.httpMethod, target.name].filter(part => part !== undefined).join(' ')
  return { name: name.slice(0, MAX_TEXT), attributes, error }
}

/** What the method is about. A URI is no part of the name: there may be any number of them. */
function targetOf({ method, tool, sent }: AccessEntry): {
  name?: string | undefined
  attributes: Attributes
} {
  if (method === CALL_METHOD) return { name: tool, attributes: { 'gen_ai.tool.name': tool } }
  if (method === 'prompts/get') return { name: tool, attributes: { 'gen_ai.prompt.name': tool } }
  if (method?.startsWith('resources/') !== true) return { attributes: {} }
  return { attributes: { 'mcp.resource.uri': sent?.resourceUri ?? tool } }
}

/** Nobody asks a stream for a result: that its client leaves is its normal end. */
function errorOf({ method, error, failure, status }: AccessEntry): string | undefined {
  if (error === undefined || error === 'unread') return undefined
  if (error === 'left') return method === undefined ? undefined : CANCELLED
  if (error === 'result') return failure ?? UNKNOWN_ERROR
  if (error === 'cut' || status === undefined) return error
  const isOfClient = error === 'http' && method === undefined && status < FIRST_SERVER_ERROR
  return isOfClient ? undefined : String(status)
}

const isCode = (failure: string | undefined): boolean => failure !== undefined && /^-?\d+$/.test(failure)
