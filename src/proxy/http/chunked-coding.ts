// Owns writing bodies in the chunked transfer coding (RFC 9112 §7.1).

/** Up to this many bytes it is cheaper to copy a part into a string with its frame than to write the frame beside it. */
export const maxCopiedBytes = 16 * 1024

/** Ends a body without trailers. */
export const lastChunk = '0\r\n\r\n'

interface Writer {
  write(part: Buffer | string, encoding: 'latin1'): boolean
}

/** `part` as one chunk; it is Latin-1 and not empty, for an empty chunk would end the body. */
export const chunkOf = (part: string): string => `${part.length.toString(16)}\r\n${part}\r\n`

/** Writes `part` as one chunk. Returns what the last `write` returned. */
export function writeChunk(to: Writer, part: Buffer): boolean {
  if (part.length <= maxCopiedBytes) return to.write(chunkOf(part.toString('latin1')), 'latin1')
  to.write(`${part.length.toString(16)}\r\n`, 'latin1')
  to.write(part, 'latin1')
  return to.write('\r\n', 'latin1')
}
