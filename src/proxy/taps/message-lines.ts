// Owns which parts of an event stream carry messages, wherever the chunks split its lines.

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
/** `d`: no other field of an event begins so. */
const DATA = 0x64

/** Distinguishes the chunks of an event stream that carry data from those that only keep the stream alive. */
export class MessageLines {
  /** The first byte of the line in which the last chunk ended; a line end if the chunk ended with one. */
  #first = LINE_FEED

  /** The next chunk. Returns whether it has a part of a `data` line: comments and empty lines carry no message. */
  feed(chunk: Buffer): boolean {
    let first = this.#first
    for (let at = 0; first !== DATA && at < chunk.length; at++) {
      const byte = chunk[at]!
      if (isLineEnd(first) || isLineEnd(byte)) first = byte
    }
    const hasData = first === DATA
    this.#first = hasData ? firstOfLastLine(chunk) : first
    return hasData
  }
}

/** The first byte of the line in which a chunk with data ends. */
function firstOfLastLine(chunk: Buffer): number {
  const last = chunk[chunk.length - 1]!
  if (isLineEnd(last)) return last
  const lineEndAt = Math.max(chunk.lastIndexOf(LINE_FEED), chunk.lastIndexOf(CARRIAGE_RETURN))
  return lineEndAt === -1 ? DATA : chunk[lineEndAt + 1]!
}

const isLineEnd = (byte: number): boolean => byte === LINE_FEED || byte === CARRIAGE_RETURN
