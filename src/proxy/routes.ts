// Owns which requests are accounted: the endpoint patterns of the gateway, read from the raw path and query.

export type Route =
  | { kind: 'streamable'; endpointId: string }
  | { kind: 'legacy-stream'; endpointId: string }
  | { kind: 'message'; endpointId: string | undefined; sessionId: string }

const streamPrefix = '/stream/'
const sseSuffix = '/sse'

/** `/stream/{endpoint_id}`, `GET /{endpoint_id}/sse` and `POST /message?sessionId=S&endpointId=E`. */
export function matchRoute(method: string | undefined, target: string): Route | undefined {
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  if (path.startsWith(streamPrefix)) {
    const endpointId = pathSegment(path.slice(streamPrefix.length))
    return endpointId === undefined ? undefined : { kind: 'streamable', endpointId }
  }
  if (method === 'GET' && path.endsWith(sseSuffix)) {
    const endpointId = pathSegment(path.slice(1, -sseSuffix.length))
    return endpointId === undefined ? undefined : { kind: 'legacy-stream', endpointId }
  }
  if (method === 'POST' && path === '/message' && queryAt !== -1) {
    const query = target.slice(queryAt + 1)
    const sessionId = sessionIdOf(query)
    if (sessionId === undefined) return undefined
    return { kind: 'message', endpointId: parameter(query, 'endpointId', 'endpoint_id'), sessionId }
  }
  return undefined
}

/** The session named by a query string: `sessionId`, as rmcp writes it, or `session_id`. */
export function sessionIdOf(query: string): string | undefined {
  return parameter(query, 'sessionId', 'session_id')
}

function pathSegment(text: string): string | undefined {
  return text === '' || text.includes('/') ? undefined : decode(text)
}

function parameter(query: string, name: string, otherName: string): string | undefined {
  for (const pair of query.split('&')) {
    const equalsAt = pair.indexOf('=')
    const key = pair.slice(0, equalsAt)
    if (equalsAt > 0 && (key === name || key === otherName)) {
      return decode(pair.slice(equalsAt + 1).replaceAll('+', ' ')) || undefined
    }
  }
  return undefined
}

/** Undefined for a broken percent-encoding: no gateway takes such an id. */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
