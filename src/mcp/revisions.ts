// Owns what the revision of the protocol tells: whether it has sessions.

/** From this revision on there are no sessions, and 404 means "method not found" (MCP 2026-07-28). */
export const FIRST_SESSIONLESS_REVISION = '2026-07-28'

export const REVISION = /^\d{4}-\d\d-\d\d$/

/** Whether a request is of a revision without sessions; drafts, which are named otherwise, are not. */
export const isSessionless = (protocolVersion: string | undefined): boolean =>
  protocolVersion !== undefined &&
  protocolVersion >= FIRST_SESSIONLESS_REVISION &&
  REVISION.test(protocolVersion)
