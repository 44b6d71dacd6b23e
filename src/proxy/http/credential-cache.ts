// Owns a bounded cache of what credentials say, so that they are read once and not with each request. They are secrets: they stay
// in memory, and are never logged.
import type { Principal } from '../../mcp/principal.js'

/** Credentials are found by so many of their last characters, which differ most: to hash all of a token takes a microsecond. */
const KEY_CHARACTERS = 40
/** Chosen: with tokens of 1,000 characters some 8,000 of them; V8 takes one byte a character. */
const MAX_CHARACTERS = 8 * 1024 * 1024
/** What an entry takes besides its text: an estimate. */
const ENTRY_CHARACTERS = 300

interface Entry {
  credential: string
  principal: Principal
}

/** The principals of the credentials that were used last; `read` tells those of others. */
export class CredentialCache {
  readonly #read: (credential: string) => Principal
  #recent = new Map<string, Entry>()
  #older = new Map<string, Entry>()
  /** Of the recent ones. */
  #characters = 0

  constructor(read: (credential: string) => Principal) {
    this.#read = read
  }

  of(credential: string): Principal {
    const key = credential.slice(-KEY_CHARACTERS)
    const recent = this.#recent.get(key)
    if (recent?.credential === credential) return recent.principal
    const older = this.#older.get(key)
    const principal = older?.credential === credential ? older.principal : this.#read(credential)
    const characters = credential.length + ENTRY_CHARACTERS
    if (this.#characters + characters > MAX_CHARACTERS / 2) {
      this.#older = this.#recent
      this.#recent = new Map()
      this.#characters = 0
    }
    this.#recent.set(key, { credential, principal })
    this.#characters += characters
    return principal
  }
}
