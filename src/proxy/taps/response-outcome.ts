// Owns reading from the body of a response whether it is a failure, as it passes and within bounds.
import { memberOf, parseJson } from '../../util/json.js'
import type { ResponseHeaders } from '../http/header-section.js'
import { isEventStreamType, text } from '../http/headers.js'

/** So much is read of a JSON body or of one event. Issue 18 sets it. */
const MAX_READ_BYTES = 64 * 1024

/** The end of `"error"` and of `"isError"`: most responses hold neither, which saves parsing them. */
const FAILURE = Buffer.from('rror"')
const RESULT = Buffer.from('"result"')
/** Ends of an event: an empty line, in all three forms of line ends (HTML, "Server-sent events"). */
const EMPTY_LINES = ['\n\n', '\n\r\n', '\r\r'].map(line => Buffer.from(line))
const LONGEST_EMPTY_LINE = 3

const [LINE_FEED, CARRIAGE_RETURN, SPACE, TAB, COLON] = [0x0a, 0x0d, 0x20, 0x09, 0x3a]
const [CAPITAL_E, BRACE, T] = [0x45, 0x7b, 0x74]

/** In place of a code, for the result of a tool that failed (OpenTelemetry, "Semantic conventions for MCP", `error.type`). */
const TOOL_ERROR = 'tool_error'

/** In place of a code that is none (OpenTelemetry, `error.type`). */
export const UNKNOWN_ERROR = '_OTHER'

/** What the body of a response says. */
export interface ResponseOutcome {
  /** JSON-RPC errors, and results with `isError`, so far. */
  errors: number
  /** The first of them: the code of a JSON-RPC error, or `TOOL_ERROR`. */
  readonly failure: string | undefined
  /** Parts that could not be read, so far. */
  unread: number
  /** A response to the request was read. */
  readonly isAnswered: boolean
  /** The next part of the body; its memory is used again afterwards. */
  chunk(chunk: Buffer): void
  /** The body is over; `whole`: it is complete. */
  end(whole: boolean): void
}

/**
 * For the response to a request with this method; undefined where nothing in its body can be a failure. `isMessage`: of the
 * legacy transport, where the response comes on another way.
 */
export function responseOutcome(
  method: string,
  status: number,
  headers: ResponseHeaders,
  isMessage: boolean
): ResponseOutcome | undefined {
  const isPost = method === 'POST'
  const length = headers['content-length']
  if (status < 200 || status >= 300 || status === 204 || length === '0') return undefined
  const isStream = isEventStreamType(headers)
  if (!isPost && !(method === 'GET' && isStream)) return undefined
  const coding = headers['content-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'identity') return new Unreadable()
  if (isStream) return new EventsOutcome(isPost)
  if (/^application\/json\b/i.test(text(headers['content-type']) ?? ''))
    return new JsonOutcome(length === undefined ? undefined : Number(length))
  return isMessage || status !== 200 ? undefined : new Unreadable()
}

/** A body in a content coding, or of a type that MCP does not know. */
class Unreadable implements ResponseOutcome {
  readonly errors = 0
  readonly failure = undefined
  unread = 0
  readonly isAnswered = false

  chunk(): void {
    this.unread = 1
  }

  end(): void {
    // All is said.
  }
}

class JsonOutcome implements ResponseOutcome {
  errors = 0
  failure: string | undefined
  unread = 0
  isAnswered = false
  readonly #length: number | undefined
  #chunks: Buffer[] = []
  #bytes = 0

  /** `length`: of the body, if its head says it. */
  constructor(length: number | undefined) {
    this.#length = length
  }

  chunk(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_READ_BYTES) this.#chunks = []
    else if (this.#bytes !== this.#length) this.#chunks.push(Buffer.from(chunk))
    else this.#read(this.#chunks.length === 0 ? chunk : Buffer.concat([...this.#chunks, chunk]))
  }

  end(whole: boolean): void {
    if (this.#bytes > MAX_READ_BYTES) this.unread = 1
    else if (whole && !this.isAnswered && this.#bytes > 0) this.#read(Buffer.concat(this.#chunks))
  }

  #read(body: Buffer): void {
    this.isAnswered = true
    this.#chunks = []
    if (!mayFail(body)) return
    const failures = failuresIn(body.toString())
    if (failures === undefined) this.unread = 1
    else this.errors = failures.length
    this.failure = failures?.[0]
  }
}

class EventsOutcome implements ResponseOutcome {
  errors = 0
  failure: string | undefined
  unread = 0
  isAnswered = false
  readonly #isPost: boolean
  /** The start of an event whose end has not come yet; of one that is too long, its last bytes. */
  #held: Buffer | undefined
  /** The event is too long. */
  #isSkipping = false
  #skipped = 0

  /** `isPost`: the stream carries the response to one request, and not those to many. */
  constructor(isPost: boolean) {
    this.#isPost = isPost
  }

  chunk(chunk: Buffer): void {
    if (this.#held === undefined && endsEvent(chunk)) return this.#read(chunk)
    let all = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk])
    if (this.#isSkipping || all.length > MAX_READ_BYTES) all = this.#behindLong(all)
    const end = lastEventEnd(all)
    if (end > 0) this.#read(all.subarray(0, end))
    const rest = all.subarray(end)
    this.#held = rest.length === 0 ? undefined : Buffer.from(rest)
  }

  end(): void {
    if (this.#isPost && this.#skipped > 0 && !this.isAnswered) this.unread = 1
    this.#held = undefined
  }

  /** What comes behind an event that is too long, if `all` begins with one; of one that goes on, its last bytes. */
  #behindLong(all: Buffer): Buffer {
    const end = firstEventEnd(all)
    if (!this.#isSkipping) {
      if (end > 0 && end <= MAX_READ_BYTES) return all
      this.#skipped++
      if (!this.#isPost) this.unread++
    }
    this.#isSkipping = end === 0
    return all.subarray(end === 0 ? 1 - LONGEST_EMPTY_LINE : end)
  }

  /** Whole events. */
  #read(events: Buffer): void {
    if (this.#isPost && !this.isAnswered) this.isAnswered = events.includes(RESULT)
    if (!mayFail(events)) return
    let data: string[] = []
    for (const line of events.toString().split(/\r\n|\r|\n/)) {
      if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
      if (line !== '' || data.length === 0) continue
      const failures = failuresIn(data.join('\n')) ?? []
      this.errors += failures.length
      this.failure ??= failures[0]
      if (failures.length > 0) this.isAnswered = true
      data = []
    }
  }
}

/** Whether there may be a JSON-RPC error, an object, or an `isError` that is true. */
function mayFail(json: Buffer): boolean {
  for (let at = json.indexOf(FAILURE); at !== -1; at = json.indexOf(FAILURE, at + 1)) {
    const value = memberValueAt(json, at + FAILURE.length)
    if (value === (json[at - 1] === CAPITAL_E ? T : BRACE)) return true
  }
  return false
}

/** The first byte of the value behind the name of a member; undefined where that is no name. */
function memberValueAt(json: Buffer, from: number): number | undefined {
  const colon = skipSpace(json, from)
  return json[colon] === COLON ? json[skipSpace(json, colon + 1)] : undefined
}

function skipSpace(json: Buffer, from: number): number {
  let at = from
  for (; at < json.length; at++) {
    const byte = json[at]
    if (byte !== SPACE && byte !== TAB && byte !== LINE_FEED && byte !== CARRIAGE_RETURN) break
  }
  return at
}

/** The failures of the messages, one or those of a batch (MCP 2025-03-26); undefined where that is no JSON. */
function failuresIn(json: string): string[] | undefined {
  const value = parseJson(json)
  if (value === undefined) return undefined
  const messages: unknown[] = Array.isArray(value) ? value : [value]
  return messages.map(failureOf).filter(failure => failure !== undefined)
}

/** Whether a message is a JSON-RPC error (JSON-RPC 2.0 §5.1), or the result of a tool that failed (MCP, `CallToolResult`). */
function failureOf(message: unknown): string | undefined {
  const error = memberOf(message, 'error')
  if (typeof error === 'object' && error !== null) {
    const code = memberOf(error, 'code')
    if (memberOf(message, 'method') !== undefined) return undefined
    return Number.isSafeInteger(code) ? String(code) : UNKNOWN_ERROR
  }
  return memberOf(memberOf(message, 'result'), 'isError') === true ? TOOL_ERROR : undefined
}

function endsEvent(chunk: Buffer): boolean {
  const last = chunk.length - 1
  const before = chunk[last - 1]
  if (chunk[last] === CARRIAGE_RETURN) return before === CARRIAGE_RETURN
  if (chunk[last] !== LINE_FEED) return false
  return before === LINE_FEED || (before === CARRIAGE_RETURN && chunk[last - 2] === LINE_FEED)
}

/** Behind the last event that is whole; 0: there is none. */
const lastEventEnd = (events: Buffer): number =>
  Math.max(...EMPTY_LINES.map(line => endOf(line, events.lastIndexOf(line))))

/** Behind the first one. */
function firstEventEnd(events: Buffer): number {
  const ends = EMPTY_LINES.map(line => endOf(line, events.indexOf(line))).filter(end => end > 0)
  return ends.length === 0 ? 0 : Math.min(...ends)
}

const endOf = (line: Buffer, at: number): number => (at === -1 ? 0 : at + line.length)
