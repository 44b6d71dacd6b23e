// Owns what the proxy reports of one exchange: small plain data, taken before the client can know of it.
import type { ClientInfo } from '../mcp/client-info.js'

/** Who sent a request, as far as its connection and headers tell. */
export interface Client {
  /** IP address of the peer, or what trusted proxies between tell of it. */
  address: string
  userAgent: string | undefined
}

/** What a request asks for: headers of MCP 2026-07-28, or the start of its body. */
export interface RpcCall {
  /** The JSON-RPC method. */
  rpcMethod?: string | undefined
  /** The name of the tool, prompt or resource. */
  rpcName?: string | undefined
}

/** Reads the body of a request, as far as it is kept. */
export interface IdentifiableBody {
  /** The client's name and version. */
  who(): ClientInfo
}

/** An answered request of the Streamable HTTP transport: `/stream/{endpoint_id}`. */
export interface StreamableResponse extends RpcCall {
  kind: 'streamable'
  endpointId: string
  method: string
  status: number
  /** `mcp-session-id` of the request. */
  sessionId: string | undefined
  /** `mcp-session-id` of the answer. */
  issuedSessionId: string | undefined
  /** `mcp-protocol-version` of the request. */
  protocolVersion: string | undefined
  /** The answer is rmcp 0.x's `401` with the body `Unauthorized: Session not found` and no `WWW-Authenticate`. */
  sessionNotFound: boolean
  client: Client
  /** Set where the request is a POST that names no session: which session-less client it may be from, and its body. */
  visitor?: string | undefined
  body?: IdentifiableBody | undefined
  /** When the answer's headers came, in epoch milliseconds. */
  at: number
}

/** An answered `POST /message?sessionId=S&endpointId=E` of the legacy HTTP+SSE transport. */
export interface MessageResponse extends RpcCall {
  kind: 'message'
  /** Undefined where the message path does not name it; then the session is found by its id alone. */
  endpointId: string | undefined
  sessionId: string
  status: number
  client: Client
  at: number
}

/** A legacy stream's `endpoint` event is about to reach the client (`opened`), or such a stream ended (`ended`). */
export interface LegacyStream {
  kind: 'legacy-opened' | 'legacy-ended'
  endpointId: string
  sessionId: string
  client: Client
  at: number
}

/**
 * Of a Streamable HTTP session: a server message passed on one of its streams (`server-message`; comments, which only
 * keep a stream alive, are none), the upstream ended its standalone GET stream by itself (`upstream-ended`), or a client
 * sent a whole request at `at` and left before its answer (`unanswered`).
 */
export interface SessionNews {
  kind: 'server-message' | 'upstream-ended' | 'unanswered'
  endpointId: string
  sessionId: string
  client: Client
  at: number
}

/** The answer to the proxy's own `ping` on a Streamable HTTP session; the fields are those of `StreamableAnswer`. */
export interface PingResponse {
  kind: 'ping-answer'
  endpointId: string
  sessionId: string
  status: number
  sessionNotFound: boolean
  at: number
}

/** On the answer to a session-less client: a server message passed, or its listen stream ended. */
export interface VisitStream {
  kind: 'visit-message' | 'listen-ended'
  visitor: string
  at: number
}

/** What the `initialize` exchange of a session tells, once it is read. */
export interface Identity {
  kind: 'identity'
  /** Undefined as in `MessageAnswer`. */
  endpointId: string | undefined
  sessionId: string
  who: ClientInfo
}

export type Observation =
  StreamableResponse | SessionNews | PingResponse | MessageResponse | LegacyStream | VisitStream | Identity

/** Takes each observation before the bytes it speaks of go to the client; synchronous, and never throws. */
export type Observe = (observation: Observation) => void
