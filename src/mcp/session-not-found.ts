// Owns the texts by which gateways say that they do not know a session (any more).

/** All that rmcp 0.x answers, with 401, for a session it does not know. */
export const SESSION_NOT_FOUND = 'Unauthorized: Session not found'
