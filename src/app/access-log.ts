// Owns the access log (`--access-log`): a JSON line for each request, on standard output or in a file, which never holds it up.
import { closeSync, openSync } from 'node:fs'
import { Mask } from '../admin/access/mask.js'
import type { Principal } from '../mcp/principal.js'
import { storedSessionId } from '../mcp/stored-ids.js'
import type { AccessEntry, WriteAccess } from '../proxy/access-entry.js'
import { reasonOf, TurnstileError } from '../util/errors.js'
import { type DroppedLines, LineWriter } from '../util/log-lines.js'
import type { Log } from '../util/log.js'
import { maskKey } from './mask-key.js'
import { remembered } from './remembered.js'

/** Lines are written together: so many bytes, or after so long. Chosen: a write takes some microseconds, and people wait less. */
const MAX_GATHERED = 16 * 1024
const GATHERED_MS = 100
/** The longest text of a line. Chosen: with all of them a line stays below 2 KiB, for strangers choose what is in it. */
const MAX_TEXT = 200

/** Of a `traceparent` (W3C Trace Context): its version, and the trace id, which is not all zeros. */
const TRACE = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/

/** The file cannot be opened. */
export class AccessLogError extends TurnstileError {
  readonly code = 'TURNSTILE_ACCESS_LOG'
}

/** Where the access log goes, and how it is masked. */
export interface AccessLogSettings {
  /** `stdout`, or a file. */
  accessLog: string
  /** The data directory of the whole proxy, which holds the key of masks. */
  dataDir: string
  /** Whether principals are masked as well. */
  mask: boolean
}

/** The access log of a process. */
export interface AccessLog {
  readonly write: WriteAccess
}

/**
 * Starts it; undefined where it is off. A file is opened again on SIGHUP, as its old one may have another name by then. Throws
 * `AccessLogError`, and what `maskKey` throws.
 */
export function startAccessLog(
  { accessLog: to, dataDir, mask: isMasked }: AccessLogSettings,
  dropped: DroppedLines,
  log: Log
): AccessLog | undefined {
  if (to === 'off') return undefined
  const mask = new Mask(maskKey(dataDir), isMasked)
  const lines = new GatheredLines(to === 'stdout' ? 1 : openLog(to), dropped)
  if (to !== 'stdout')
    process.on('SIGHUP', () => {
      try {
        lines.redirect(openLog(to))
      } catch (error) {
        log.warn({ reason: reasonOf(error) }, 'the access log cannot be opened again; the old file is used')
      }
    })
  const masks = {
    session: remembered(id => mask.loggedId(id)),
    principal: remembered(of => mask.loggedName(of))
  }
  return { write: entry => lines.write(lineOf(entry, { ...masks, isOn: isMasked })) }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o640)
  } catch (error) {
    throw new AccessLogError(`--access-log cannot be opened: ${reasonOf(error)}`)
  }
}

/** Lines that wait for each other for a moment. */
class GatheredLines {
  #fd: number
  #writer: LineWriter
  #text = ''
  #lines = 0
  #timer: NodeJS.Timeout | undefined

  constructor(fd: number, dropped: DroppedLines) {
    // Before the writer's own.
    process.on('exit', () => this.#flush())
    this.#fd = fd
    this.#writer = new LineWriter(fd, dropped)
  }

  write(line: string): void {
    this.#text += line
    this.#lines++
    if (this.#text.length >= MAX_GATHERED) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), GATHERED_MS).unref()
  }

  redirect(fd: number): void {
    this.#flush()
    const before = this.#fd
    this.#fd = fd
    this.#writer.redirect(fd)
    closeSync(before)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#lines > 0) this.#writer.writeLines(this.#text, this.#lines)
    this.#text = ''
    this.#lines = 0
  }
}

interface Masks {
  session: (id: string) => string
  principal: (name: string) => string
  isOn: boolean
}

function lineOf(entry: AccessEntry, masks: Masks): string {
  const { at, sessionId, principal, ...rest } = entry
  const storedId = sessionId === undefined ? undefined : storedSessionId(sessionId)
  const said = {
    time: new Date(at).toISOString(),
    requestId: rest.requestId,
    endpoint: shown(rest.endpointId),
    upstream: shown(rest.upstream),
    session: storedId === undefined ? null : masks.session(storedId),
    principal: principal === undefined ? null : shown(principalOf(principal, masks)),
    httpMethod: shown(rest.httpMethod),
    path: shown(rest.path),
    method: shown(rest.method),
    tool: shown(rest.tool),
    status: rest.status ?? null,
    error: rest.error ?? null,
    bytesIn: rest.bytesIn,
    bytesOut: rest.bytesOut,
    durationMs: Math.round(rest.durationMs),
    traceId: TRACE.exec(rest.traceparent ?? '')?.[1] ?? null
  }
  return `${JSON.stringify(said)}\n`
}

/** Nobody can try names or keys out: a digest is not shown as it is. */
const principalOf = ({ kind, name, isDigest }: Principal, { principal, isOn }: Masks): string =>
  isDigest ? `${kind}-${principal(name)}` : isOn ? principal(name) : name

const shown = (text: string | undefined): string | null =>
  text === undefined ? null : text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
