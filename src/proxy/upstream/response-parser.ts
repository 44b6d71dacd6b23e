// Owns reading the upstream's responses (RFC 9112). It is strict: what is not valid is an error, never a guess.
import { MINUTE_MS, SECOND_MS } from '../../util/time.js'
import { maxHeaderBytes, type ResponseHeaders } from '../http/header-section.js'
import { InvalidUpstreamResponse } from '../http/proxy-errors.js'

/** The head of a response. */
export interface ResponseHead {
  status: number
  /** The reason phrase, Latin-1. */
  reason: string
  /** The header section as it came, Latin-1: name, value, name, value. */
  fields: string[]
  headers: ResponseHeaders
}

/** Called with the elements of a response, in the order in which they come. */
export interface ResponseHandler {
  /** An informational response (1xx); the final one is still to come. */
  onInformation(head: ResponseHead): void
  /** The head of the final response. */
  onHead(head: ResponseHead): void
  /** A part of the body; the bytes are overwritten after the call. */
  onData(chunk: Buffer): void
  /** The response is complete. `trailers`: name, value, name, value. */
  onEnd(trailers: string[]): void
}

/** What is read next. `head`: nothing of the response, or not all of its head, came yet. `unsized`: all until the end. */
type State = 'idle' | 'head' | 'sized' | 'unsized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers'

const crlf = Buffer.from('\r\n')
const emptyLine = Buffer.from('\r\n\r\n')
const protocol = 'HTTP/1.'
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/
const fieldLines = /^(?:[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/
/** The line with the size of a chunk, and its extensions, which a proxy drops (RFC 9112 §7.1.1). */
const chunkSize = /^([\dA-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/
/** The longest line with the size of a chunk, in bytes. Chosen: the size takes 16 of them, and extensions are not in use. */
const maxChunkLineBytes = 4 * 1024

/** In `Keep-Alive`, the seconds for which the upstream leaves the connection open; other parameters may be around it. */
const keepAliveTimeout = /(?:^|[\s,;])timeout\s*=\s*"?(\d{1,9})/i
/**
 * So much earlier than the upstream closes a connection, the proxy stops using it: a request must not meet the close. Chosen:
 * ample for the way there, and Node's usual hint of 5 s gives the 4 s for which connections are kept anyway. undici takes 2 s.
 */
export const KEEP_ALIVE_MARGIN_MS = SECOND_MS
/** However long the upstream says, connections are kept no longer. Chosen: firewalls forget a silent one after minutes. */
const MAX_KEEP_ALIVE_MS = MINUTE_MS

/** Reads the responses on one connection, one after the other. */
export class ResponseParser {
  /** Whether the connection can take another request after this response. */
  reusable = true
  /** For how long after this response it can, in milliseconds, if the upstream says so. */
  keepAliveMs: number | undefined
  /** The response can have no body, but some servers send one all the same, and late. */
  mayBeFollowed = false
  state: State = 'idle'
  #handler: ResponseHandler | undefined
  /** The response is to a HEAD request, and has no body. */
  #toHead = false
  /** Bytes of a line, or a section, whose end has not come yet. */
  #held: Buffer | undefined
  /** Bytes of the body, or of the chunk, still to come. */
  #rest = 0

  /** The next bytes are the response to a request with this method. */
  begin(method: string, handler: ResponseHandler): void {
    this.#handler = handler
    this.#toHead = method === 'HEAD'
    this.state = 'head'
  }

  /** Reads the next bytes. Throws `InvalidUpstreamResponse`, also for bytes that no request asked for. */
  feed(input: Buffer): void {
    let bytes = input
    if (this.#held !== undefined) {
      bytes = Buffer.concat([this.#held, input])
      this.#held = undefined
    }
    let at = 0
    while (at < bytes.length) {
      const next = this.#step(bytes, at)
      if (next === undefined) {
        this.#held = Buffer.from(bytes.subarray(at))
        return
      }
      at = next
    }
  }

  /** The upstream sends nothing more. Throws `InvalidUpstreamResponse` if the response is incomplete. */
  finish(): void {
    if (this.state === 'unsized') this.#end([])
    else if (this.state !== 'idle')
      throw new InvalidUpstreamResponse('The upstream closed the connection before its response was complete')
  }

  /** Reads one element at `at`; returns where the next begins, or undefined when this one is not complete. */
  #step(bytes: Buffer, at: number): number | undefined {
    switch (this.state) {
      case 'idle':
        throw new InvalidUpstreamResponse('The upstream sent what no request asked for')
      case 'head':
        return this.#readHead(bytes, at)
      case 'unsized':
        this.#handler!.onData(at === 0 ? bytes : bytes.subarray(at))
        return bytes.length
      case 'sized':
      case 'chunk':
        return this.#readBody(bytes, at)
      case 'chunk-size':
        return this.#readChunkSize(bytes, at)
      case 'chunk-end':
        if (bytes.length - at < 2) return undefined
        if (bytes[at] !== crlf[0] || bytes[at + 1] !== crlf[1])
          throw new InvalidUpstreamResponse('A chunk of the response is longer than its size')
        this.state = 'chunk-size'
        return at + 2
      case 'trailers':
        return this.#readTrailers(bytes, at)
    }
  }

  #readHead(bytes: Buffer, at: number): number | undefined {
    if (!protocol.startsWith(bytes.toString('latin1', at, at + protocol.length)))
      throw new InvalidUpstreamResponse('The response is not HTTP/1')
    const end = sectionEnd(bytes, at)
    if (end === undefined) return undefined
    const text = bytes.toString('latin1', at, end + 2)
    const lineEnd = text.indexOf('\r\n')
    const [, minor, code, reason = ''] = statusLine.exec(text.slice(0, lineEnd)) ?? []
    if (code === undefined)
      throw new InvalidUpstreamResponse('The response does not start with a status line')
    const { fields, headers } = readFields(text.slice(lineEnd + 2))
    this.#onHead({ status: Number(code), reason, fields, headers }, minor === '1')
    return end + 4
  }

  #onHead(head: ResponseHead, persistent: boolean): void {
    const { status, headers } = head
    if (status === 101)
      throw new InvalidUpstreamResponse('The upstream switched protocols without being asked')
    if (status < 200) return this.#handler!.onInformation(head)
    const length = headers['content-length']
    const coding = headers['transfer-encoding']
    if (length !== undefined && !/^\d{1,15}$/.test(length))
      throw new InvalidUpstreamResponse('The response has a bad length')
    if (coding !== undefined && (length !== undefined || !persistent || coding.toLowerCase() !== 'chunked'))
      throw new InvalidUpstreamResponse(`The response has the transfer coding ${coding} where none can be`)
    const connection = headers['connection']
    this.reusable = persistent && (connection === undefined || !/\bclose\b/i.test(connection))
    const keepAlive = headers['keep-alive']
    this.keepAliveMs = keepAlive === undefined ? undefined : keepAliveOf(keepAlive)
    if (this.keepAliveMs !== undefined && this.keepAliveMs <= 0) this.reusable = false
    this.#rest = Number(length)
    this.mayBeFollowed = this.#toHead || status === 204 || status === 304
    if (this.mayBeFollowed) {
      this.state = 'idle'
      // Servers that announce a body here may also send it, now or later (RFC 9112 §6.3 has none, whatever the head says).
      if (coding !== undefined || this.#rest > 0) this.reusable = false
    } else if (this.#rest === 0) this.state = 'idle'
    else if (coding !== undefined) this.state = 'chunk-size'
    else this.state = length === undefined ? 'unsized' : 'sized'
    if (this.state === 'unsized') this.reusable = false
    this.#handler!.onHead(head)
    if (this.state === 'idle') this.#end([])
  }

  #readBody(bytes: Buffer, at: number): number {
    const end = Math.min(at + this.#rest, bytes.length)
    this.#rest -= end - at
    const complete = this.#rest === 0
    this.#handler!.onData(bytes.subarray(at, end))
    if (complete && this.state === 'sized') this.#end([])
    else if (complete) this.state = 'chunk-end'
    return end
  }

  #readChunkSize(bytes: Buffer, at: number): number | undefined {
    const end = bytes.indexOf(crlf, at)
    if ((end < 0 ? bytes.length : end) - at > maxChunkLineBytes)
      throw new InvalidUpstreamResponse('The size of a chunk of the response is too long')
    if (end < 0) return undefined
    const [, size] = chunkSize.exec(bytes.toString('latin1', at, end)) ?? []
    if (size === undefined) throw new InvalidUpstreamResponse('A chunk of the response has a bad size')
    this.#rest = Number.parseInt(size, 16)
    this.state = this.#rest === 0 ? 'trailers' : 'chunk'
    return end + 2
  }

  #readTrailers(bytes: Buffer, at: number): number | undefined {
    if (bytes[at] === crlf[0] && bytes[at + 1] === crlf[1]) {
      this.#end([])
      return at + 2
    }
    const end = sectionEnd(bytes, at)
    if (end === undefined) return undefined
    this.#end(readFields(bytes.toString('latin1', at, end + 2)).fields)
    return end + 4
  }

  #end(trailers: string[]): void {
    this.state = 'idle'
    const handler = this.#handler!
    this.#handler = undefined
    handler.onEnd(trailers)
  }
}

/** Where the empty line behind a section of fields begins. */
function sectionEnd(bytes: Buffer, at: number): number | undefined {
  const end = bytes.indexOf(emptyLine, at)
  if ((end < 0 ? bytes.length : end) - at > maxHeaderBytes)
    throw new InvalidUpstreamResponse(`The response has more than ${maxHeaderBytes} bytes of header fields`)
  return end < 0 ? undefined : end
}

/** Reads header fields from `text`, which is whole lines. */
function readFields(text: string): { fields: string[]; headers: ResponseHeaders } {
  if (!fieldLines.test(text)) throw new InvalidUpstreamResponse('The response has a bad header field')
  const fields: string[] = []
  const headers: Record<string, string | undefined> = Object.create(null) as Record<string, string>
  for (let at = 0; at < text.length;) {
    const colon = text.indexOf(':', at)
    const end = text.indexOf('\r\n', colon)
    const name = text.slice(at, colon)
    let from = colon + 1
    let to = end
    while (from < to && isBlank(text.charCodeAt(from))) from++
    while (to > from && isBlank(text.charCodeAt(to - 1))) to--
    const value = text.slice(from, to)
    const key = name.toLowerCase()
    const before = headers[key]
    fields.push(name, value)
    headers[key] = before === undefined ? value : `${before}, ${value}`
    at = end + 2
  }
  return { fields, headers }
}

/** `keepAliveMs` for this value of `Keep-Alive`. */
function keepAliveOf(value: string): number | undefined {
  const [, seconds] = keepAliveTimeout.exec(value) ?? []
  if (seconds === undefined) return undefined
  return Math.min(Number(seconds) * SECOND_MS - KEEP_ALIVE_MARGIN_MS, MAX_KEEP_ALIVE_MS)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09
