// Owns official TypeScript SDK clients: connecting to an endpoint over either transport, and the ways they leave.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

export type TransportName = 'streamable' | 'sse'

export interface ConnectedClient {
  /** Calls the gateway's echo tool. */
  echo(text: string): Promise<string>
  /** `close()`: sends no DELETE over Streamable HTTP. */
  close(): Promise<void>
  /** `terminateSession()` and `close()`; over SSE the same as `close()`. */
  terminate(): Promise<void>
}

export async function connectClient(
  baseUrl: string,
  transportName: TransportName,
  endpointId: string,
  name = 'turnstile-test'
): Promise<ConnectedClient> {
  const client = new Client({ name, version: '1.0.0' })
  const streamable = new StreamableHTTPClientTransport(new URL(`/stream/${endpointId}`, baseUrl))
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- legacy clients still use it, so it is counted
  const legacy = () => new SSEClientTransport(new URL(`/${endpointId}/sse`, baseUrl))
  const transport = transportName === 'streamable' ? streamable : legacy()
  // The SDK's transports are not assignable to its own interface under exactOptionalPropertyTypes.
  await client.connect(transport)
  return {
    async echo(text) {
      const result = await client.callTool({ name: 'echo', arguments: { text } })
      return (result.content as { text: string }[])[0]!.text
    },
    close: () => client.close(),
    async terminate() {
      if (transport === streamable) await streamable.terminateSession()
      await client.close()
    }
  }
}
