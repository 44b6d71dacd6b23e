// Owns what the proxy reports of one exchange: small plain data, taken before the client can know of it.
import type { ClientInfo } from '../mcp/client-info.js'
import type { Principal } from '../mcp/principal.js'
import type { StoredId, WireId } from '../mcp/stored-ids.js'
import type { Transport } from '../mcp/transports.js'
import type { EpochMs } from '../util/time.js'
import type { Outcome } from './outcomes.js'
import type { ToolCall } from './tool-uses.js'

/** Who sent a request, as far as its connection and headers say. */
export interface Client {
  /** IP address of the peer, or the one that trusted proxies in between name. */
  address: string
  userAgent: string | undefined
}

/** What a request asks for: from the headers of MCP 2026-07-28, or from the start of its body. */
export interface RpcCall {
  /** The JSON-RPC method. */
  rpcMethod?: string | undefined
  /** The name of the tool, prompt or resource. */
  rpcName?: string | undefined
}

/** The body of a request, as far as it is kept; it is parsed only when it is asked. */
export interface IdentifiableBody {
  /** The client's name and version. */
  clientInfo(): ClientInfo
}

/** Whose an accepted request is. */
export interface Attribution {
  /** On whose behalf it was sent. */
  principal?: Principal | undefined
  /** To which conversation it belongs, if it says so; to be asked where that is not known yet, for it may parse the body. */
  conversation?: (() => StoredId | undefined) | undefined
}

/** The response to a request of the Streamable HTTP transport: `/stream/{endpoint_id}`. */
export interface StreamableResponse extends RpcCall, Attribution {
  kind: 'streamable'
  endpointId: WireId
  /** The name of the gateway that gave the response. */
  upstream?: string | undefined
  method: string
  status: number
  /** `mcp-session-id` of the request. */
  sessionId: WireId | undefined
  /** `mcp-session-id` of the response. */
  issuedSessionId: WireId | undefined
  /** `mcp-protocol-version` of the request. */
  protocolVersion: string | undefined
  /** Of a GET: it accepts an event stream. */
  acceptsStream?: boolean | undefined
  /** The body says that the server does not know the session, or (as a 404) not what was asked for (`sessionErrorIn`). */
  sessionNotFound: boolean
  methodNotFound?: boolean
  client: Client
  /** Set for a POST that names no session: the session-less client that may have sent it (`Visitors`), and its body. */
  visitor?: string | undefined
  body?: IdentifiableBody | undefined
  /** When the response's headers came. */
  at: EpochMs
}

/** The response to a `POST /message?sessionId=S&endpointId=E` of the legacy HTTP+SSE transport. */
export interface MessageResponse extends RpcCall, Attribution {
  kind: 'message'
  /** What the URL says of it, if anything; it need not be true. The session is found by its id. */
  endpointId: WireId | undefined
  sessionId: WireId
  /** As in `StreamableResponse`. */
  upstream?: string | undefined
  status: number
  sessionNotFound?: boolean
  methodNotFound?: boolean
  client: Client
  at: EpochMs
}

/** A legacy stream's `endpoint` event is about to reach the client (`opened`), or such a stream ended (`ended`). */
export interface LegacyStream extends Attribution {
  kind: 'legacy-opened' | 'legacy-ended'
  endpointId: WireId
  sessionId: WireId
  /** As in `StreamableResponse`. */
  upstream?: string | undefined
  client: Client
  at: EpochMs
}

/**
 * Something happened to a Streamable HTTP session beside the heads of its responses. `server-message`: a message of the
 * server passed on one of its streams (comments, which only keep a stream alive, are none). `upstream-ended`: the upstream
 * ended its standalone GET stream by itself. `unanswered`: a client sent a whole request at `at` and left before the
 * response. `present`: a call of it, or its GET stream, was under way at `at`; the upstream did not refuse it so far.
 */
export interface SessionNews {
  kind: 'server-message' | 'upstream-ended' | 'unanswered' | 'present'
  endpointId: WireId
  sessionId: WireId
  client: Client
  at: EpochMs
}

/** The response to the proxy's own `ping` on a Streamable HTTP session; the fields are those of `StreamableResponse`. */
export interface PingResponse {
  kind: 'ping-response'
  endpointId: StoredId
  sessionId: StoredId
  status: number
  sessionNotFound: boolean
  methodNotFound?: boolean
  at: EpochMs
}

/** Of a session-less client: a server message passed or a request was under way (`visit-message`), or its listen stream ended. */
export interface VisitStream {
  kind: 'visit-message' | 'listen-ended'
  visitor: string
  at: EpochMs
}

/** What the `initialize` exchange of a session says of its client, once it is read. */
export interface Identity {
  kind: 'identity'
  /** Undefined as in `MessageResponse`. */
  endpointId: WireId | undefined
  sessionId: WireId
  clientInfo: ClientInfo
}

/** Whose request it is: a session, or a session-less client (`Visitors`). */
export interface Requester {
  transport: Transport
  /** Undefined as in `MessageResponse`. */
  endpointId: WireId | undefined
  /** A session-less client has none. */
  sessionId?: WireId | undefined
  visitor?: string | undefined
}

/** What came of a request, told when it is over, or of a part of it while it lasts. */
export interface RequestOutcome extends Requester {
  kind: 'outcome'
  outcome: Outcome
  /** Calls of tools that are over with it, where there are any. */
  calls?: readonly ToolCall[]
  /** For a session-less client: its address. */
  client: Client
  at: EpochMs
}

/** One thing that was seen of one session or session-less client. Ids are as they were on the wire, but for a ping's. */
export type Observation =
  | StreamableResponse
  | SessionNews
  | PingResponse
  | MessageResponse
  | LegacyStream
  | VisitStream
  | Identity
  | RequestOutcome

/** Takes each observation before the bytes it speaks of go to the client; synchronous, and never throws. */
export type Observe = (observation: Observation) => void
