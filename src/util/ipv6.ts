// Owns how an IPv6 address is read (RFC 4291 §2.2).

/** The eight groups of a valid address as hexadecimal text; those that `::` leaves out are `0`. */
export function ipv6Groups(address: string): string[] {
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(head), groups(tail)]
  const left = Math.max(0, 8 - first.length - last.length)
  return [...first, ...Array<string>(left).fill('0'), ...last]
}
