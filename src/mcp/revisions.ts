// Owns what the revision of the protocol says: whether it has sessions.

/** From this revision on there are no sessions, and 404 means "method not found" (MCP 2026-07-28). */
export const FIRST_SESSIONLESS_REVISION = '2026-07-28'

/** The form of a released revision: a date. */
export const REVISION = /^\d{4}-\d\d-\d\d$/

/**
 * Whether a request with this `mcp-protocol-version` is of a revision without sessions. Drafts, whose names are no dates,
 * are taken for revisions with sessions.
 */
export const isSessionless = (protocolVersion: string | undefined): boolean =>
  protocolVersion !== undefined &&
  protocolVersion >= FIRST_SESSIONLESS_REVISION &&
  REVISION.test(protocolVersion)
