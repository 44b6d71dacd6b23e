// Owns how an IPv6 address is read (RFC 4291 §2.2).
import { isIPv6 } from 'node:net'

/** The eight groups of a valid address as hexadecimal text; those that `::` leaves out are `0`. */
export function ipv6Groups(address: string): string[] {
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(head), groups(tail)]
  const left = Math.max(0, 8 - first.length - last.length)
  return [...first, ...Array<string>(left).fill('0'), ...last]
}

/**
 * What stands for all addresses that whoever has this one can use: of IPv6 its /64 (RFC 4291 §2.5.4), written as its first
 * four groups without leading zeros; an address of IPv4, also as IPv6, stands for itself.
 */
export const networkOf = (address: string): string =>
  isIPv6(address) && !address.startsWith('::ffff:')
    ? ipv6Groups(address)
        .slice(0, 4)
        .map(group => group.replace(/^0+(?=.)/, ''))
        .join(':')
    : address
