// Owns how lines reach standard output and standard error: never by waiting, whatever reads them.
//
// A line that cannot be written now (the reader stopped, the disk is full) waits in a bounded queue; what does not fit is dropped
// and counted. pino's own destination (sonic-boom) waits for EAGAIN in sync mode and at its flush, and for ENOSPC forever.
import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { isatty } from 'node:tty'
import { lineForPeople } from './log-for-people.js'

/** The longest line, in bytes. Issue 16: strangers choose what is in a line, and disks are finite. */
const MAX_LINE_BYTES = 2_048
/** A UTF-16 unit has at most so many bytes in UTF-8. */
const MAX_BYTES_PER_UNIT = 3
/** What may wait for a reader. Chosen: some seconds of a busy log. */
const MAX_WAITING_BYTES = 1_048_576
/** Chosen: a reader that goes on gets 640 kB/s through a pipe of 64 kB. */
const RETRY_MS = 100
/** How long the end of the process waits for a reader that is slow. Chosen: people do not notice it. */
const LAST_TRIES = 10
const LAST_TRY_MS = 10
/** Lengths to which all texts of a line are cut, one after the other, until it is short enough. Chosen. */
const TEXT_LENGTHS = [500, 100, 20]

/** Counts lines that were dropped, those of all threads of a process together. */
export class DroppedLines {
  /** To be handed to other threads. */
  readonly buffer: SharedArrayBuffer
  readonly #count: BigUint64Array

  /** `buffer`: that of another thread; undefined: counts from 0. */
  constructor(buffer = new SharedArrayBuffer(BigUint64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer
    this.#count = new BigUint64Array(buffer)
  }

  get count(): number {
    return Number(Atomics.load(this.#count, 0))
  }

  add(lines: number): void {
    Atomics.add(this.#count, 0, BigInt(lines))
  }
}

/** Writes lines to a file descriptor; a destination for pino. */
export class LineWriter {
  #fd: number
  readonly #isTerminal: boolean
  readonly #dropped: DroppedLines
  /** Oldest first; of the first, a part may be written already. */
  readonly #waiting: { bytes: Buffer; lines: number }[] = []
  #waitingBytes = 0
  #retrying = false

  /** `fd`: 1 or 2, or a file. Made first in the main thread, which then no longer waits on that descriptor. */
  constructor(fd: number, dropped: DroppedLines) {
    this.#fd = withoutWaiting(fd)
    this.#isTerminal = isatty(this.#fd)
    this.#dropped = dropped
    process.on('exit', () => this.#finish())
  }

  /** `line` ends with a line feed; it is cut where it is too long. On a terminal people read it. */
  write(line: string): void {
    const short = shortened(line)
    this.writeLines(this.#isTerminal ? lineForPeople(short, hasColors()) : short, 1)
  }

  /** So many lines at once, each of a bounded length, and with a line feed at its end. */
  writeLines(text: string, lines: number): void {
    const bytes = Buffer.from(text)
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) return this.#dropped.add(lines)
    this.#waiting.push({ bytes, lines })
    this.#waitingBytes += bytes.length
    if (!this.#retrying) this.#writeWaiting()
  }

  /** From now on lines go to this file. */
  redirect(fd: number): void {
    this.#fd = fd
  }

  #writeWaiting(): void {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const written = writeSync(this.#fd, next.bytes)
        this.#waitingBytes -= written
        if (written < next.bytes.length) next.bytes = next.bytes.subarray(written)
        else this.#waiting.shift()
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') this.#dropWaiting()
      else this.#retryLater()
    }
  }

  /** Nobody will read it. */
  #dropWaiting(): void {
    this.#dropped.add(this.#waiting.reduce((sum, { lines }) => sum + lines, 0))
    this.#waiting.length = 0
    this.#waitingBytes = 0
  }

  #retryLater(): void {
    this.#retrying = true
    setTimeout(() => {
      this.#retrying = false
      this.#writeWaiting()
    }, RETRY_MS).unref()
  }

  #finish(): void {
    for (let i = 0; i < LAST_TRIES && this.#waiting.length > 0; i++) {
      if (i > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_TRY_MS)
      this.#writeWaiting()
    }
  }
}

/** Whether terminals are to have colours (no-color.org). */
const hasColors = (): boolean => !process.env.NO_COLOR && process.env.TERM !== 'dumb'

/** Copies what another process writes, line by line. */
export function copyLines(from: Readable, to: LineWriter): void {
  let rest = ''
  from.setEncoding('utf8')
  from.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) to.write(`${line}\n`)
  })
  from.on('end', () => {
    if (rest !== '') to.write(`${rest}\n`)
  })
}

/** A descriptor for the same file on which a write never waits for a reader, as far as the system allows. */
function withoutWaiting(fd: number): number {
  // Node makes pipes and sockets non-blocking when it opens its streams for them. A file has no reader to wait for.
  const stream = fd === 2 ? process.stderr : process.stdout
  stream.on('error', () => undefined)
  if (!fstatSync(fd).isFIFO() && !isatty(fd)) return fd
  try {
    // Opened once more, it is for this process alone: another one that has the same pipe may make that wait again.
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    // Not Linux, or the pipe of another user.
    return fd
  }
}

/** The line, if need be with its texts cut, as valid JSON if it was. */
function shortened(line: string): string {
  if (line.length * MAX_BYTES_PER_UNIT <= MAX_LINE_BYTES || Buffer.byteLength(line) <= MAX_LINE_BYTES)
    return line
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(line) as Record<string, unknown>
  } catch {
    return `${line.slice(0, MAX_LINE_BYTES / MAX_BYTES_PER_UNIT - 1)}…\n`
  }
  for (const length of TEXT_LENGTHS) {
    const cut = `${JSON.stringify(entry, (_key, value: unknown) => textCut(value, length))}\n`
    if (Buffer.byteLength(cut) <= MAX_LINE_BYTES) return cut
  }
  // Many fields: those that pino writes say at least what happened.
  const { level, time, pid, msg } = entry
  return `${JSON.stringify({ level, time, pid, msg: textCut(msg, TEXT_LENGTHS[0]!) })}\n`
}

const textCut = (value: unknown, length: number): unknown =>
  typeof value === 'string' && value.length > length ? `${value.slice(0, length)}…` : value
