// Owns whose address a request comes from: the peer's, or what trusted proxies in between say.
import type { IncomingMessage } from 'node:http'
import { type BlockList, isIP } from 'node:net'
import type { Client } from '../../sessions/observations.js'
import { addressOf } from './headers.js'

/** More hops than any real chain has. */
const MAX_HOPS = 32

/**
 * Each proxy appends its peer to `X-Forwarded-For`. Read from the right, an entry counts as long as a trusted proxy
 * wrote it: the first that is none of them is the client, whatever it wrote further left.
 */
function clientAddress(req: IncomingMessage, trusted: BlockList | undefined): string {
  let address = addressOf(req)
  const forwarded = req.headers['x-forwarded-for']
  if (trusted === undefined || forwarded === undefined) return address
  const hops = String(forwarded).split(',')
  for (let i = 0; i < MAX_HOPS && isTrusted(trusted, address); i++) {
    const next = addressIn(hops.pop() ?? '')
    if (next === undefined) break
    address = next
  }
  return address
}

export const clientOf = (
  req: IncomingMessage,
  { trustedProxy }: { trustedProxy?: BlockList | undefined }
): Client => ({
  address: clientAddress(req, trustedProxy),
  userAgent: req.headers['user-agent']
})

const isTrusted = (trusted: BlockList, address: string): boolean =>
  trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** An entry of `X-Forwarded-For`, with or without a port. */
function addressIn(entry: string): string | undefined {
  const [, bracketed, plain] = /^\s*(?:\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?)\s*$/.exec(entry) ?? []
  const text = (bracketed ?? plain ?? entry).trim()
  const address = text.startsWith('::ffff:') && isIP(text.slice(7)) === 4 ? text.slice(7) : text
  return isIP(address) !== 0 && !address.includes('%') ? address : undefined
}
