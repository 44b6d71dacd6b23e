// Owns what is read of a GET on a path that no pattern covers: whether its response is the stream of a legacy session.
import { isSuccessful } from '../../util/http-status.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStreamType, text } from '../http/headers.js'
import type { RoutedRequest } from '../http/routed-request.js'
import { DecodedStart } from './decoded-start.js'
import { endpointEvent } from './first-event.js'
import type { Notices } from './notices.js'
import type { Tap } from './tap.js'

/** Tells of a legacy session that is not counted. Nothing is accounted of the exchange. */
export class UnroutedStreamTap implements Tap {
  readonly streamOf = undefined
  readonly operation = undefined
  readonly asked = undefined
  readonly sent = undefined
  readonly requester = undefined
  readonly #request: RoutedRequest
  readonly #notices: Notices
  /** Set for a compressed stream. */
  #decoder: DecodedStart | undefined
  /** Set until it is known what the stream is. */
  #opening: ReturnType<typeof endpointEvent> | undefined

  constructor(request: RoutedRequest, notices: Notices) {
    this.#request = request
    this.#notices = notices
  }

  requestBody(): void {
    // A GET has none.
  }

  head(status: number, headers: ResponseHeaders): void {
    this.#notices.notAccounted(this.#request, status, headers)
    if (!isSuccessful(status) || !isEventStreamType(headers)) return
    const coding = (text(headers['content-encoding']) ?? 'identity').toLowerCase()
    if (coding !== 'identity') this.#decoder = DecodedStart.of(coding)
    if (coding === 'identity' || this.#decoder) this.#opening = endpointEvent()
  }

  chunk(chunk: Buffer): void {
    if (this.#opening === undefined) return
    const plain = this.#decoder === undefined ? chunk : this.#decoder.feed(chunk)
    if (plain !== undefined) this.#opening.feed(plain)
    if (plain !== undefined && !this.#opening.done) return
    if (this.#opening.value !== undefined) this.#notices.streamNotAccounted(this.#request)
    this.#opening = this.#decoder = undefined
  }

  notePresence(): boolean {
    return false
  }

  end(): void {
    // It was no session's.
  }
}
