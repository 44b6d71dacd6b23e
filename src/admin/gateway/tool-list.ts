// Owns asking the gateway for the tools of an endpoint, as an MCP client.
import { setTimeout as sleep } from 'node:timers/promises'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { Tool } from '../schemas/monitoring-responses.js'
import { begin, type Conversation, LegacyConversation, StreamableConversation } from './mcp-conversation.js'

/** Where the gateway may serve an endpoint, by transport. */
export interface EndpointUrls {
  streamable: readonly URL[]
  sse: readonly URL[]
}

type Fetch = typeof globalThis.fetch

/** How long the DELETE of the session may hold up the response with the tools. Chosen. */
const TERMINATE_TIMEOUT_MS = 1_000
/** The most bytes of all responses together. Chosen: they are parsed at once, on the thread that serves operators. */
const MAX_BYTES = 1_000_000

/**
 * The tools of an endpoint, over Streamable HTTP, and where that fails over HTTP+SSE (MCP 2024-11-05), at the first URL that tells
 * them. Rejects with what went wrong at the first one, or with the reason of `signal`.
 */
export async function toolsOf({ streamable, sse }: EndpointUrls, signal: AbortSignal): Promise<Tool[]> {
  signal.throwIfAborted()
  const ways = [
    ...streamable.map(url => (fetch: Fetch) => new StreamableConversation(url, fetch)),
    ...sse.map(url => (fetch: Fetch) => LegacyConversation.open(url, fetch))
  ]
  const failures: unknown[] = []
  for (const open of ways) {
    try {
      return await listTools(signal, open)
    } catch (error) {
      signal.throwIfAborted()
      failures.push(error)
    }
  }
  throw failures[0]
}

/** Lists the tools over a session of its own, then ends that session and leaves no connection open. */
async function listTools(
  signal: AbortSignal,
  open: (fetch: Fetch) => Conversation | Promise<Conversation>
): Promise<Tool[]> {
  const over = new AbortController()
  let conversation: Conversation | undefined
  const list = async (): Promise<Tool[]> => {
    conversation = await open(boundedFetch(over))
    return await allTools(await begin(conversation))
  }
  try {
    return await Promise.race([list(), rejectedBy(signal)])
  } finally {
    await Promise.race([conversation?.end().catch(() => undefined), sleep(TERMINATE_TIMEOUT_MS)])
    over.abort()
  }
}

/** A page of the list (MCP 2025-11-25, Tools, `ListToolsResult`). */
const ToolPage = Type.Object({ tools: Type.Array(Tool), nextCursor: Type.Optional(Type.String()) })

/** All pages (MCP 2025-11-25, Tools, "Listing Tools"). */
async function allTools(conversation: Conversation): Promise<Tool[]> {
  const tools: Tool[] = []
  let cursor: string | undefined
  do {
    const page = await conversation.ask('tools/list', cursor === undefined ? {} : { cursor })
    if (!Check(ToolPage, page)) throw new Error('it lists no tools')
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
    const response = await fetch(input, { ...init, signal: over.signal })
    return new Response(response.body?.pipeThrough(count()) ?? null, response)
  }
}
