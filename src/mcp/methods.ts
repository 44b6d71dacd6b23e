// Owns the JSON-RPC methods of MCP that mean something to the proxy.

/** The request whose response is a stream that keeps a session-less client connected (MCP 2026-07-28, "Listen"). */
export const LISTEN_METHOD = 'subscriptions/listen'

/** The call of a tool. */
export const CALL_METHOD = 'tools/call'
