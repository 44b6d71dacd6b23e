// Owns what a conversation is: what clients say that several of their sessions belong to, in the form in which it is stored.
import { createHash } from 'node:crypto'
import { type StoredId, storedSessionId } from './stored-ids.js'

/** Where a request may say to which conversation it belongs: a header field, a member of `_meta`, or of the baggage. */
export interface ConversationKey {
  from: 'header' | 'meta' | 'baggage'
  /** Of a header field in lower case; of `_meta` the name of a member, or of one inside it with a dot between the names. */
  name: string
}

/** The stored form, as of session ids: up to 255 visible ASCII characters as they are, anything else as `sha256-` and the hex digest. */
export const storedConversation = (raw: string): StoredId =>
  storedSessionId(raw) ?? `sha256-${createHash('sha256').update(raw).digest('hex')}`
