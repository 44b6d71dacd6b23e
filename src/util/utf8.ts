// Owns reading texts whose bytes may be Latin-1 or UTF-8.

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The value of a header field. Node reads it as Latin-1; many clients write UTF-8 (RFC 9110 §5.5 leaves both to them), so what is
 * valid UTF-8 is read as that.
 */
export function utf8IfValid(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1
  try {
    return utf8.decode(Buffer.from(latin1, 'latin1'))
  } catch {
    return latin1
  }
}
