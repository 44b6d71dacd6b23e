// Owns a session-less client's requests (MCP 2026-07-28) as raw HTTP, for what SDK clients cannot be made to do.

export interface RawClient {
  userAgent: string
  authorization?: string
  name?: string
}

/** Sends one request; the answer may be a stream that goes on. */
export async function call(
  url: string,
  client: RawClient,
  method: string,
  params: Record<string, unknown> = {},
  signal: AbortSignal | null = null
): Promise<Response> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: client.name ?? client.userAgent, version: '1.2.3' },
    'io.modelcontextprotocol/clientCapabilities': {}
  }
  return await fetch(url, {
    method: 'POST',
    signal,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'user-agent': client.userAgent,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof params['name'] === 'string' && { 'mcp-name': params['name'] }),
      ...(client.authorization !== undefined && { authorization: client.authorization })
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: meta, ...params } })
  })
}
