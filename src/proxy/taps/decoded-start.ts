// Owns reading the start of a compressed body as it comes, from a bounded copy. Decoding is synchronous, so that what it shows
// is known before the client can see it; it begins from the start at each part, which is cheap for the few parts that are read.
import zlib from 'node:zlib'

/** The most that is kept of a body, and that is decoded from it, in bytes. Chosen: far more than what is looked for. */
const MAX_ENCODED_BYTES = 64 * 1024
const MAX_DECODED_BYTES = 192 * 1024
/** The most parts that are looked at. Chosen: with a comment every 15 s to keep the stream alive, 16 minutes. */
const MAX_PARTS = 64

type Decode = (encoded: Buffer) => Buffer

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants
const gzipOptions = { finishFlush: Z_SYNC_FLUSH, maxOutputLength: MAX_DECODED_BYTES }
const gunzip: Decode = encoded => zlib.gunzipSync(encoded, gzipOptions)
/** Since Node 22.15; its types come later. */
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: typeof zlib.brotliDecompressSync }
const { ZSTD_e_flush } = zlib.constants as Record<string, number>

/** By content coding (RFC 9110 §8.4.1, RFC 7932, RFC 8878). */
const decoders = new Map<string, Decode>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  [
    'deflate',
    encoded =>
      hasZlibHeader(encoded)
        ? zlib.inflateSync(encoded, gzipOptions)
        : zlib.inflateRawSync(encoded, gzipOptions)
  ],
  [
    'br',
    encoded =>
      zlib.brotliDecompressSync(encoded, {
        finishFlush: BROTLI_OPERATION_FLUSH,
        maxOutputLength: MAX_DECODED_BYTES
      })
  ]
])
if (zstdDecompressSync !== undefined && ZSTD_e_flush !== undefined)
  decoders.set('zstd', encoded =>
    zstdDecompressSync(encoded, { finishFlush: ZSTD_e_flush, maxOutputLength: MAX_DECODED_BYTES })
  )

/** Some servers send `deflate` without the wrapper of zlib, which begins so (RFC 1950 §2.2). */
function hasZlibHeader(encoded: Buffer): boolean {
  return (encoded[0]! & 0x0f) === 8 && (encoded.length === 1 || encoded.readUInt16BE() % 31 === 0)
}

/** The start of a body in one content coding. */
export class DecodedStart {
  readonly #decode: Decode
  #encoded: Buffer = Buffer.alloc(0)
  #decodedBytes = 0
  #parts = 0

  private constructor(decode: Decode) {
    this.#decode = decode
  }

  /** `coding` in lower case. Undefined where it is not known. */
  static of(coding: string): DecodedStart | undefined {
    const decode = decoders.get(coding.trim())
    return decode && new DecodedStart(decode)
  }

  /** The next part of the body. Returns what it adds to the decoded text; undefined where no more can be read. */
  feed(part: Buffer): Buffer | undefined {
    if (++this.#parts > MAX_PARTS || this.#encoded.length + part.length > MAX_ENCODED_BYTES) return undefined
    this.#encoded = Buffer.concat([this.#encoded, part])
    try {
      const decoded = this.#decode(this.#encoded)
      const added = decoded.subarray(this.#decodedBytes)
      this.#decodedBytes = decoded.length
      return added
    } catch {
      return undefined
    }
  }
}
