// Owns what a request asks for: that it is one unambiguous request, and where it goes on the upstream.
import type { IncomingMessage } from 'node:http'
import { RefusedRequest } from './proxy-errors.js'

export interface Target {
  /** Path and query as the client wrote them, byte for byte. */
  path: string
  /** The authority of a target in absolute-form. */
  authority: string | undefined
  /** The same path behind the base path of the upstream's URL. */
  upstreamPath: string
}

const absoluteForm = /^https?:\/\/([^/?@]+)([/?].*)?$/i

/** A segment of two dots, also as servers see one that decode before they split, or cut at `;`. */
const climbs = /([/\\]|%2f|%5c)(\.|%2e){2}([/\\;]|%2f|%5c|$)/i

/** Throws `RefusedRequest` for what cannot be forwarded. */
export function readTarget(req: IncomingMessage, upstream: URL): Target {
  refuseAmbiguous(req)
  const base = upstream.pathname === '/' ? '' : upstream.pathname.replace(/\/$/, '')
  const { path, authority } = originForm(req)
  if (base !== '' && climbs.test(path.split('?', 1)[0]!))
    throw new RefusedRequest("The request target may leave the upstream's base path")
  return { path, authority, upstreamPath: base + path }
}

/** The target as a path. Throws `RefusedRequest` for one that has none. */
export function originForm({ url: target = '' }: IncomingMessage): Pick<Target, 'path' | 'authority'> {
  // No target has one (RFC 9112 §3.2); hyper cuts it there, others do not.
  if (target.includes('#')) throw new RefusedRequest('The request target has a fragment')
  if (target.startsWith('/')) return { path: target, authority: undefined }
  const [, authority, rest = ''] = absoluteForm.exec(target) ?? []
  if (authority === undefined) throw new RefusedRequest('The request target is not a path')
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority }
}

/** Framing that node's parser takes and the upstream may read in another way. */
function refuseAmbiguous(req: IncomingMessage): void {
  if (req.httpVersionMajor !== 1) throw new RefusedRequest('The request is not HTTP/1')
  const coding = req.headers['transfer-encoding']
  if (coding === undefined) return
  if (req.httpVersionMinor === 0) throw new RefusedRequest('An HTTP/1.0 request has no transfer coding')
  if (coding.toLowerCase() !== 'chunked')
    throw new RefusedRequest('The transfer coding is not understood', 501)
}
