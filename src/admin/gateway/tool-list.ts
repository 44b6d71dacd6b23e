// Owns asking the gateway for the tools of an endpoint, as an MCP client.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Client,
  SSEClientTransport,
  StreamableHTTPClientTransport,
  type Transport
} from '@modelcontextprotocol/client'
import type { Tool } from '../schemas/monitoring-responses.js'

/** Where the gateway serves an endpoint, by transport. */
export interface EndpointUrls {
  streamable: URL
  sse: URL
}

/** How long the DELETE of the session may hold up the response with the tools. Chosen. */
const TERMINATE_TIMEOUT_MS = 1_000
/** The most bytes of all responses together. Chosen: they are parsed at once, on the thread that serves operators. */
const MAX_BYTES = 1_000_000

/**
 * The tools of an endpoint, over Streamable HTTP, and where that fails over HTTP+SSE (MCP 2024-11-05). Rejects with what went wrong over
 * Streamable HTTP, or with the reason of `signal`.
 */
export async function toolsOf({ streamable, sse }: EndpointUrls, signal: AbortSignal): Promise<Tool[]> {
  return await listTools(signal, fetch => new StreamableHTTPClientTransport(streamable, { fetch })).catch(
    async (error: unknown) => {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- gateways older than Streamable HTTP
      const legacy = listTools(signal, fetch => new SSEClientTransport(sse, { fetch }))
      return await legacy.catch(() => Promise.reject(error as Error))
    }
  )
}

/** A transport whose session can be ended. */
type Closing<T> = T & { terminateSession?: () => Promise<void> }

/** Lists the tools over a session of its own, then ends that session and leaves no connection open. */
async function listTools(
  signal: AbortSignal,
  open: (fetch: typeof globalThis.fetch) => Closing<Transport>
): Promise<Tool[]> {
  const over = new AbortController()
  const transport = open(boundedFetch(over))
  const client = new Client({ name: 'mcp-turnstile', version: '1' })
  try {
    // The transport does not heed the signal while it starts.
    return await Promise.race([allTools(client, transport, signal), rejectedBy(signal)])
  } finally {
    await Promise.race([transport.terminateSession?.().catch(() => undefined), sleep(TERMINATE_TIMEOUT_MS)])
    await client.close()
    over.abort()
  }
}

async function allTools(client: Client, transport: Transport, signal: AbortSignal): Promise<Tool[]> {
  await client.connect(transport, { signal })
  const tools: Tool[] = []
  let cursor: string | undefined
  do {
    // Not `client.listTools`, which makes validators of the schemas of all tools.
    const page = await client.request({ method: 'tools/list', params: { cursor } }, { signal })
    tools.push(...page.tools)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return tools
}

const rejectedBy = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const rejectNow = (): void => reject(signal.reason as Error)
    if (signal.aborted) rejectNow()
    else signal.addEventListener('abort', rejectNow)
  })

/** A `fetch` that breaks off once all its responses together are too long, or when it is over. */
function boundedFetch(over: AbortController): typeof fetch {
  let left = MAX_BYTES
  const count = () =>
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        left -= chunk.length
        if (left < 0) controller.error(new Error(`it says more than ${MAX_BYTES} bytes`))
        else controller.enqueue(chunk)
      }
    })
  return async (input, init) => {
    init?.signal?.addEventListener('abort', () => over.abort())
    const response = await fetch(input, { ...init, signal: over.signal })
    return new Response(response.body?.pipeThrough(count()) ?? null, response)
  }
}
