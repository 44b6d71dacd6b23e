// Owns where and how session ids, principals and client addresses are masked: ids in logs always, all everywhere with --mask.
import { createHmac } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { ipv6Groups } from '../../util/ipv6.js'

/** Chosen: enough to recognise a session in a log, too few to take it over (a UUID has 32 digits). */
const SHOWN_CHARACTERS = 8
/** Chosen: with 64 bits, two of a million sessions have the same mask with a probability of one in tens of millions. */
const HASH_BYTES = 8

/** Masks with a key that only this installation has, so that nobody can try ids out. */
export class Mask {
  readonly #key: Buffer
  /** Whether responses and events are masked too (--mask). */
  readonly isOn: boolean

  constructor(key: Buffer, isOn: boolean) {
    this.#key = key
    this.isOn = isOn
  }

  /** For a log line: the first characters, of a short id at most half, and a keyed hash. */
  loggedId(sessionId: string): string {
    const shown = sessionId.slice(0, Math.min(SHOWN_CHARACTERS, sessionId.length >> 1))
    return `${shown}-${this.#hash(sessionId)}`
  }

  /** For a response or event: of the name of a person, or of a conversation, only a keyed hash. */
  name<Name extends string | null>(name: Name): Name | string {
    return this.isOn && name !== null ? this.loggedName(name) : name
  }

  /** The same for a log line, whatever the setting. */
  loggedName(name: string): string {
    return `masked-${this.#hash(name)}`
  }

  #hash(text: string): string {
    return createHmac('sha256', this.#key)
      .update(text)
      .digest('hex')
      .slice(0, 2 * HASH_BYTES)
  }

  /** For a response or event. */
  sessionId(sessionId: string): string {
    return this.isOn ? this.loggedId(sessionId) : sessionId
  }

  /** For a response, event or log line: IPv4 without its last 8 bits, IPv6 with its first 48. */
  address(address: string): string {
    if (!this.isOn) return address
    return isIPv6(address) ? maskIPv6(address) : address.replace(/\.\d+$/, '.0')
  }
}

function maskIPv6(address: string): string {
  const kept = ipv6Groups(address).slice(0, 3).join(':')
  return kept === '0:0:0' ? '::' : `${kept}::`
}
