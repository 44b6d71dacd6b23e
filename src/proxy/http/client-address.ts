// Owns whose address a request comes from: the peer's, or the one that trusted proxies in between report.
//
// `@fastify/proxy-addr` does the same in another way: an entry with a port, or one that is no address at all,
// becomes the client's address as it stands; the number of hops has no bound; and `ipaddr.js`, on which it is built, also takes
// `0x7f.1`. With `isIP` and `BlockList` of `node:net` there is little left to write here.
import { type BlockList, isIP, type Socket } from 'node:net'

/** Chosen: more hops than any real chain of proxies has. It bounds the work for a header field full of addresses. */
const MAX_HOPS = 32

/** The address at the other end of a connection, as `normalized` writes it. */
export const peerAddressOf = ({ remoteAddress = '' }: Socket): string => normalized(remoteAddress) ?? ''

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

/** Whether an address is one of a trusted proxy. */
export const isTrusted = (trusted: BlockList, address: string): boolean =>
  trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** An entry of `X-Forwarded-For`, with or without a port; undefined if it is no address, or one with a zone. */
function addressIn(entry: string): string | undefined {
  const [, bracketed, plain] = /^\s*(?:\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?)\s*$/.exec(entry) ?? []
  const address = (bracketed ?? plain ?? entry).trim()
  // A zone is a name for a network of the machine that wrote it (RFC 4007 §6).
  return address.includes('%') ? undefined : normalized(address)
}

/**
 * An IP address in the one form in which it is compared and stored: an IPv6 one as RFC 5952 writes it and without its zone,
 * and an IPv4 one that is written as IPv6 (RFC 4291 §2.5.5.2) as such. Undefined for what is no address.
 */
export function normalized(address: string): string | undefined {
  if (!address.includes(':')) return isIP(address) === 4 ? address : undefined
  const known = forms.get(address)
  if (known !== undefined || isIP(address) !== 6) return known
  const form = ipv6Form(address.split('%', 1)[0]!)
  if (forms.size >= MAX_FORMS) forms.clear()
  forms.set(address, form)
  return form
}

/** Chosen: as many addresses as come at once. To look one up takes 0.05 µs, to work it out 1 µs. */
const MAX_FORMS = 1_000
const forms = new Map<string, string>()

function ipv6Form(address: string): string {
  // The serializer of URLs does just that (WHATWG URL, "IPv6 serializer").
  const ipv6 = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(ipv6) ?? []
  return high === undefined || low === undefined ? ipv6 : `${bytesOf(high)}.${bytesOf(low)}`
}

/** The two bytes of a group of an IPv6 address, as they are written in an IPv4 one. */
function bytesOf(group: string): string {
  const value = Number.parseInt(group, 16)
  return `${value >> 8}.${value & 0xff}`
}
