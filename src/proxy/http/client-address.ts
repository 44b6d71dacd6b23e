// Owns whose address a request comes from: the peer's, or the one that trusted proxies in between report.
//
// `@fastify/proxy-addr` does the same in another way: an entry with a port, or one that is no address at all,
// becomes the client's address as it stands; the number of hops has no bound; and `ipaddr.js`, on which it is built, also takes
// `0x7f.1` and rewrites IPv6 addresses. With `isIP` and `BlockList` of `node:net` there is little left to write here.
import { type BlockList, isIP, type Socket } from 'node:net'

/** Chosen: more hops than any real chain of proxies has. It bounds the work for a header field full of addresses. */
const MAX_HOPS = 32

/** The address at the other end of a connection; an IPv4 address as such, also on an IPv6 socket. */
export const peerAddressOf = ({ remoteAddress = '' }: Socket): string => unmapped(remoteAddress)

/**
 * The address of the client behind `peer`. Each proxy appends its own peer to `X-Forwarded-For`. So the field is read from the
 * right, and an entry counts if a trusted proxy wrote it. The first address that is no trusted proxy is the client's: what
 * stands further to the left may be invented.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | string[] | undefined,
  trusted: BlockList | undefined
): string {
  if (trusted === undefined || forwardedFor === undefined) return peer
  const hops = String(forwardedFor).split(',')
  let address = peer
  for (let i = 0; i < MAX_HOPS && isTrusted(trusted, address); i++) {
    const next = addressIn(hops.pop() ?? '')
    if (next === undefined) break
    address = next
  }
  return address
}

const isTrusted = (trusted: BlockList, address: string): boolean =>
  trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** An entry of `X-Forwarded-For`, with or without a port; undefined if it is no address, or one with a zone. */
function addressIn(entry: string): string | undefined {
  const [, bracketed, plain] = /^\s*(?:\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?)\s*$/.exec(entry) ?? []
  const address = unmapped((bracketed ?? plain ?? entry).trim())
  return isIP(address) !== 0 && !address.includes('%') ? address : undefined
}

/** An IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2), as such. */
const unmapped = (address: string): string =>
  address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
