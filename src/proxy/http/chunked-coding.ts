// Owns writing bodies in the chunked transfer coding (RFC 9112 §7.1).

/** A part up to this size is cheaper copied into a string with its frame than written beside it. */
export const maxCopiedBytes = 16 * 1024

export const lastChunk = '0\r\n\r\n'

interface Writer {
  write(part: Buffer | string, encoding: 'latin1'): boolean
}

/** `part` as Latin-1, not empty. */
export const chunkOf = (part: string): string => `${part.length.toString(16)}\r\n${part}\r\n`

/** What `write` returned last. */
export function writeChunk(to: Writer, part: Buffer): boolean {
  if (part.length <= maxCopiedBytes) return to.write(chunkOf(part.toString('latin1')), 'latin1')
  to.write(`${part.length.toString(16)}\r\n`, 'latin1')
  to.write(part, 'latin1')
  return to.write('\r\n', 'latin1')
}
