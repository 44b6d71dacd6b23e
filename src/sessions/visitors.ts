// Owns who is the same session-less client, as MCP 2026-07-28 has no sessions to tell that by.
import { createHash } from 'node:crypto'
import type { ClientInfo } from '../mcp/client-info.js'
import type { Principal } from '../mcp/principal.js'
import type { WireId } from '../mcp/stored-ids.js'
import type { Client } from './observations.js'

/** Of so many clients the name is remembered, twice: of the recent ones and of those before. Chosen: a few MB. */
const MAX_NAMED = 10_000

/**
 * Tells session-less clients apart by endpoint, address, user agent and principal (where that is not known, Authorization), and
 * by the name and version that requests of MCP 2026-07-28 have in `_meta`. A request without a name (a notification) is taken for one of the client that
 * named itself last with the same four; where there was none, the four alone say who it is.
 */
export class Visitors {
  /** Names and versions by the digest of the four. */
  #recent = new Map<string, string>()
  #older = new Map<string, string>()

  /**
   * The client that sent a request, as a text that holds no secret: the same on each proxy that is told the name. `credential`:
   * its principal, else its Authorization. `remember`: its name is that of later requests that have none.
   */
  of(
    endpointId: WireId,
    client: Client,
    credential: Principal | string | undefined,
    { clientName, clientVersion }: ClientInfo,
    remember = true
  ): string {
    // None of the four can hold a line end.
    const by = typeof credential === 'object' ? `${credential.kind} ${credential.name}` : (credential ?? '')
    const identity = `${endpointId}\n${client.address}\n${client.userAgent ?? ''}\n${by}`
    const digest = createHash('sha256').update(identity).digest('base64url')
    const known = this.#recent.get(digest) ?? this.#older.get(digest)
    const name = clientName === null ? known : `\n${clientName}\n${clientVersion ?? ''}`
    if (name === undefined) return digest
    if (remember && name !== this.#recent.get(digest)) this.#remember(digest, name)
    return digest + name
  }

  #remember(digest: string, name: string): void {
    if (this.#recent.size >= MAX_NAMED) {
      this.#older = this.#recent
      this.#recent = new Map()
    }
    this.#recent.set(digest, name)
  }
}
