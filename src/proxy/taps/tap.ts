// Owns what a tap is: it reads request and response on their way and never changes or delays them.
import type { BlockList } from 'node:net'
import type { Routes } from '../../mcp/routes.js'
import type { Operation } from '../../metrics/operations.js'
import type { ClientCredentials } from '../../sessions/client-credentials.js'
import type { Observe } from '../../sessions/observations.js'
import type { ResponseHeaders } from '../http/header-section.js'

/** Its ids as on the wire. */
export interface StreamSession {
  endpointId: string
  sessionId: string
}

/** Each call comes before what it speaks of goes to the client. */
export interface Tap {
  /** The session whose messages the answer carries, once that is known. */
  readonly streamOf: StreamSession | undefined
  /** What the request asks for, if it tells, once its answer began. */
  readonly operation: Operation | undefined
  /** A part of the request's body came. */
  requestBody(chunk: Buffer): void
  /** The final head of the answer came. */
  head(status: number, headers: ResponseHeaders): void
  /** A part of the body came. */
  chunk(chunk: Buffer): void
  /** The answer ended (`whole`) or broke off, both `byUpstream`, or the client left; once. */
  end(byUpstream: boolean, whole: boolean): void
}

/** What decides which requests are accounted, and to whom. */
export interface Accounting {
  routes: Routes
  callers: ClientCredentials
  /** Proxies in front of this one whose `X-Forwarded-For` is believed. */
  trustedProxy?: BlockList | undefined
  observe: Observe
}
