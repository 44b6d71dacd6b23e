// Owns which parts of an event stream carry messages, wherever the chunks split its lines.

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
/** No field but `data` begins so. */
const DATA = 0x64

export class MessageLines {
  /** The first byte of the line that the last chunk ended in; a line end if it ended with one. */
  #first = LINE_FEED

  /** Takes a chunk; whether it has data, unlike the comments and bare line ends that keep a stream alive. */
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

/** Of a chunk with data. */
function firstOfLastLine(chunk: Buffer): number {
  const last = chunk[chunk.length - 1]!
  if (isLineEnd(last)) return last
  const lineEndAt = Math.max(chunk.lastIndexOf(LINE_FEED), chunk.lastIndexOf(CARRIAGE_RETURN))
  return lineEndAt === -1 ? DATA : chunk[lineEndAt + 1]!
}

const isLineEnd = (byte: number): boolean => byte === LINE_FEED || byte === CARRIAGE_RETURN
