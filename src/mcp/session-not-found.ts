// Owns the text with which old servers say that they do not know a session (any more).

/**
 * The whole body of the `401` that rmcp 0.x answers for a session that it does not know (from 1.0 on it is `404`). A `401`
 * with `WWW-Authenticate` or any other body comes from an authorization layer and says nothing of the session.
 */
export const SESSION_NOT_FOUND = 'Unauthorized: Session not found'
