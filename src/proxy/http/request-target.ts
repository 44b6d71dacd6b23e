// Owns reading a request's target and framing: that it is one unambiguous request, and which path it asks for.
import type { IncomingMessage } from 'node:http'
import { RefusedRequest } from './proxy-errors.js'

/** The target of a request (RFC 9112 §3.2). */
export interface Target {
  /** In origin-form: path and query as the client wrote them, byte for byte. */
  path: string
  /** The authority of a target in absolute-form. */
  authority: string | undefined
}

const absoluteForm = /^https?:\/\/([^/?@]+)([/?].*)?$/i

/** A segment of two dots, also as servers see one that decode before they split, or cut at `;`. */
const parentSegment = /([/\\]|%2f|%5c)(\.|%2e){2}([/\\;]|%2f|%5c|$)/i

/** Reads a target in origin-form or absolute-form. Throws `RefusedRequest` for any other. */
export function readTarget(target: string): Target {
  // No target has a fragment (RFC 9112 §3.2); hyper cuts it off, other servers do not.
  if (target.includes('#')) throw new RefusedRequest('The request target has a fragment')
  if (target.startsWith('/')) return { path: target, authority: undefined }
  const [, authority, rest = ''] = absoluteForm.exec(target) ?? []
  if (authority === undefined) throw new RefusedRequest('The request target is not a path')
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority }
}

/** The path of the upstream's URL, which goes before the path of each request; empty if it is `/`. */
export const basePathOf = ({ pathname }: URL): string => (pathname === '/' ? '' : pathname.replace(/\/$/, ''))

/** `path` behind the upstream's base path. Throws `RefusedRequest` where the upstream may resolve it to a path outside. */
export function upstreamPathOf(path: string, basePath: string): string {
  if (basePath !== '' && parentSegment.test(path.split('?', 1)[0]!))
    throw new RefusedRequest("The request target may leave the upstream's base path")
  return basePath + path
}

/** Throws `RefusedRequest` for framing that Node's parser takes and the upstream may read in another way. */
export function refuseAmbiguousFraming(req: IncomingMessage): void {
  if (req.httpVersionMajor !== 1) throw new RefusedRequest('The request is not HTTP/1')
  const coding = req.headers['transfer-encoding']
  if (coding === undefined) return
  if (req.httpVersionMinor === 0) throw new RefusedRequest('An HTTP/1.0 request has no transfer coding')
  if (coding.toLowerCase() !== 'chunked')
    throw new RefusedRequest('The transfer coding is not understood', 501)
}
