// Owns whose requests are: what clients of the driver say of that, and what the documentation makes of it.
import type { ConnectionRow } from '../../src/admin/schemas/query-responses.js'
import { jwt } from '../support/jwt.js'
import type { Random } from '../support/random.js'

const PEOPLE = ['ann', 'bob', 'größe']
const CONVERSATIONS = ['c1', 'c2', 'c3', 'c4']
/** Who claims to be her is refused each time. */
const MALLORY = 'mallory'

/** What one request says. */
export interface Claim {
  principal?: string
  conversation?: string
}

/** The field with a token, which is another one each time. */
export const token = (random: Random, sub: string): { authorization: string } => ({
  authorization: `Bearer ${jwt({ sub, nonce: random.next() })}`
})

/** A person at work: mostly the same, sometimes somebody else or nobody. */
export class Person {
  readonly #random: Random
  #name: string
  #conversation: string

  constructor(random: Random) {
    this.#random = random
    this.#name = random.pick(PEOPLE)
    this.#conversation = random.pick(CONVERSATIONS)
  }

  /** `refused`: the gateway will refuse the request. */
  claim(refused = false): { claim: Claim; fields: Record<string, string> } {
    const random = this.#random
    if (random.chance(0.05)) this.#name = random.pick(PEOPLE)
    if (random.chance(0.05)) this.#conversation = random.pick(CONVERSATIONS)
    const name = refused && random.chance(0.3) ? MALLORY : this.#name
    const claim: Claim = {
      ...(random.chance(0.7) && { principal: name }),
      ...(random.chance(0.5) && { conversation: this.#conversation })
    }
    const fields = {
      ...(claim.principal !== undefined && token(random, claim.principal)),
      ...(claim.conversation !== undefined && { 'mcp-client-session-id': claim.conversation })
    }
    return { claim, fields }
  }
}

/** Whose a session is by the requests that were surely accepted, and by those that perhaps were. */
export class ExpectedOwner {
  readonly #sure: Claim[] = []
  readonly #all: Claim[] = []

  note(claim: Claim, surely: boolean): void {
    this.#all.push(claim)
    if (surely) this.#sure.push(claim)
  }

  /** What is wrong; undefined: nothing. */
  problem(row: ConnectionRow, principals: 'plain' | 'hashed' | 'off'): string | undefined {
    const { principal, conversation, principal_kind: kind } = row
    const said = (name: keyof Claim): string[] => this.#all.flatMap(claim => claim[name] ?? [])
    if (conversation !== null && !said('conversation').includes(conversation))
      return `in the conversation ${conversation}`
    const isOwned = principals !== 'off' && this.#sure.some(claim => claim.principal !== undefined)
    if (principal === null) return isOwned ? 'of nobody' : undefined
    const isPossible =
      principals === 'plain'
        ? said('principal').includes(principal)
        : principals === 'hashed' && /^oauth-[\w-]{22}$/.test(principal) && said('principal').length > 0
    return isPossible && kind === 'oauth' ? undefined : `of ${principal}`
  }
}
