// Owns the transports of MCP that are accounted, by the numbers that the queries use.

/** The `transport_type` of the queries: 1 = legacy HTTP+SSE, 2 = Streamable HTTP, 3 = session-less client. */
export const Transport = { sse: 1, streamable: 2, sessionless: 3 } as const

/** One of the numbers of `Transport`. */
export type Transport = (typeof Transport)[keyof typeof Transport]

/** The name of each transport by its number, as metrics label it. */
export const transportNames = Object.fromEntries(
  Object.entries(Transport).map(([name, transport]) => [transport, name])
) as Record<Transport, keyof typeof Transport>
