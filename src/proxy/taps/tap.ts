// Owns what a tap is: it reads a request and its response on their way, and never changes or delays them.
import type { MessageUris } from '../../mcp/message-uris.js'
import type { WireId } from '../../mcp/stored-ids.js'
import type { Operation } from '../../metrics/operations.js'
import type { ClientCredentials } from '../../sessions/client-credentials.js'
import type { Observe, Requester } from '../../sessions/observations.js'
import type { Visitors } from '../../sessions/visitors.js'
import type { EpochMs } from '../../util/time.js'
import type { ResponseHeaders } from '../http/header-section.js'
import type { ConversationKeys } from './conversation-keys.js'
import type { Notices } from './notices.js'
import type { Asked, SentMessage } from './request-body.js'

/** The session whose messages a stream carries. */
export interface StreamSession {
  endpointId: WireId
  sessionId: WireId
}

/** The gateway that an exchange goes to. */
export interface TappedUpstream {
  readonly name: string
  /** Goes before the path of each request. */
  readonly basePath: string
}

/** Each method is called before the client can see what it is about: so an observation precedes what follows from it. */
export interface Tap {
  /** The session whose messages the response carries; undefined while that is not known, and for other responses. */
  readonly streamOf: StreamSession | undefined
  /** What the request asks for, once its response began; undefined if the request does not say. */
  readonly operation: Operation | undefined
  /** What the request asks for, as far as it came; undefined where it is no message of a client. */
  readonly asked: Asked | undefined
  /** What else spans say of the message, as far as it came; undefined where none are made, and where it is not known. */
  readonly sent: SentMessage | undefined
  /** Whose it is; undefined while that is not known. */
  readonly requester: Requester | undefined
  /** A part of the request's body came. */
  requestBody(chunk: Buffer): void
  /** The final head of the response came. */
  head(status: number, headers: ResponseHeaders): void
  /** A part of the response's body came. */
  chunk(chunk: Buffer): void
  /**
   * The exchange is still under way at `at`: reports that where it keeps a session or a session-less client present, unless it
   * was seen in use within `withinMs`; whether it reported that.
   */
  notePresence(at: EpochMs, withinMs: number): boolean
  /**
   * The exchange is over; called once.
   * @param byUpstream The response ended or broke off; otherwise the client left.
   * @param whole The response is complete.
   */
  end(byUpstream: boolean, whole: boolean): void
}

/** Where taps put what they read. */
export interface Accounting {
  /** How clients reach their sessions. */
  credentials: ClientCredentials
  /** Who session-less clients are. */
  visitors: Visitors
  /** To which conversation requests belong. */
  conversations: ConversationKeys
  observe: Observe
  /** What the open legacy streams announced. */
  messageUris: MessageUris
  /** The session of a legacy stream stays unknown; `reason`: why, for people. */
  unreadable: (reason: string) => void
  /** An open GET stream is use of its session. */
  streamIsUse: boolean
  /** Spans are made of requests. */
  isTraced: boolean
  notices: Notices
}
