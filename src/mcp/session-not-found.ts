// Owns the words with which servers say that they do not know a session (any more), in whichever response they say it.
import { isSuccessful } from '../util/http-status.js'
import { memberOf, parseJson } from '../util/json.js'

/**
 * What a body says of the session that its request named. `session-not-found`: the server does not know it;
 * `method-not-found`: it does not know what was asked for, which says nothing of the session (MCP 2026-07-28 and some older
 * servers send that as a 404).
 */
export type SessionError = 'session-not-found' | 'method-not-found'

/** The longest body that is read, in bytes. Chosen: such texts have some 100 bytes, with a JSON-RPC error around them. */
export const MAX_ERROR_BYTES = 4096
/** The longest text that may be one of these. Chosen: with a session id of the usual length in it. */
const MAX_TEXT_LENGTH = 500

const ID = '["\'`<(]?[\\x21-\\x7e]+["\'`>)]?'
/**
 * Texts as regular expressions, without regard to case, and who writes them:
 * - `Not Found: Session not found`: rmcp 1.0 and later (404); `Unauthorized: Session not found`: rmcp 0.x (401).
 * - `Session not found`: the SDKs for TypeScript (-32001), C# (-32001), Python (-32600), Kotlin, Ruby and Go, LiteLLM;
 *   `Session not found: ID`: Java; `Session not found or has expired.`: PHP; `Could not find session`: Python, legacy
 *   HTTP+SSE; `Session ID not found`: gateways with a table of sessions.
 * - `Not Found: Invalid or expired session ID`: the SDKs for Python and Swift; `Invalid session ID`: mcp-go.
 * - `Bad Request: No valid session ID provided`: server-everything, supergateway, the examples of the TypeScript SDK and what
 *   was made from them; Python until 1.2x.
 * - `No transport found for sessionId`: the TypeScript SDK's example of legacy HTTP+SSE.
 */
const notFoundTexts = [
  `session(?: ?id)?(?: ${ID})? (?:was |is |could )?(?:not (?:be )?(?:found|known|recogni[sz]ed)|unknown|does(?: not|n't) exist|no longer exists)`,
  `(?:no such|unknown|could(?: not|n't) find|can(?:not|'t) find|no (?:active )?session found|(?:no|no matching) transport found for) (?:the )?(?:mcp )?session(?:[ -]?id)?(?: ${ID})?`,
  `(?:no (?:active |such )?)session (?:found|with id)`,
  `(?:no valid|invalid or expired|invalid or unknown|unknown or expired|expired or invalid|expired or unknown|invalid|expired) (?:mcp[ -])?session[ -]?id(?: ${ID})?`
]
/**
 * Texts that login layers use too, so that they say nothing in a 401 or 403:
 * - `Not Found: Session has been terminated`: the Python SDK; `Session terminated`: mcp-go.
 * - `Bad Request: Server not initialized`: the TypeScript SDK, where a server makes a new transport for an unknown id.
 */
const ambiguousTexts = [
  `session(?: ${ID})? (?:has |was |is |had )?(?:already )?(?:been )?(?:terminated|closed|ended|expired|invalid(?:ated)?|not valid|no longer valid)`,
  `(?:invalid|expired|invalid or expired|unknown or expired) (?:mcp )?session`,
  `(?:server|session) (?:is )?not (?:yet )?initiali[sz]ed`
]

/** Such a text is the whole text, but for a prefix such as `Bad Request: ` and for what comes after a mark or one of these words. */
const whole = (texts: readonly string[]): RegExp =>
  new RegExp(
    `^(?:[a-z][a-z -]{1,30}: ?){0,2}(?:the |your )?(?:mcp )?(?:${texts.join('|')})(?:$|[.,;:!(\\[]| (?:provided|or|for|please|with)\\b)`,
    'i'
  )
const notFound = whole(notFoundTexts)
const notFoundOrAmbiguous = whole([...notFoundTexts, ...ambiguousTexts])

/** The fields of a response that matter here. */
export type ErrorHeaders = Readonly<
  Partial<
    Record<
      'content-type' | 'content-encoding' | 'content-length' | 'www-authenticate',
      string | string[] | undefined
    >
  >
>

/** Whether the body of a response with this head is to be read for a `SessionError`. */
export function mayBeSessionError(status: number, headers: ErrorHeaders): boolean {
  if (headers['content-encoding'] !== undefined) return false
  const length = headers['content-length']
  if (length === '0' || Number(length ?? 0) > MAX_ERROR_BYTES) return false
  const type = String(headers['content-type'] ?? '')
  if (isSuccessful(status)) return /^application\/json\b/i.test(type)
  // What comes from an authorization layer says nothing of the session.
  return status >= 400 && headers['www-authenticate'] === undefined && !/^text\/html\b/i.test(type)
}

/**
 * Reads the body of a response. In one that was accepted only a JSON-RPC error of the server itself counts: `-32600`, or
 * `-32000` to `-32099`; any other may come from a tool, and so may everything inside of `result`.
 */
export function sessionErrorIn(status: number, body: string): SessionError | undefined {
  const json = parseJson(body)
  const message = Array.isArray(json) ? (json as unknown[])[0] : json
  if (memberOf(message, 'result') !== undefined) return undefined
  const error = memberOf(message, 'error')
  const code = memberOf(error, 'code')
  if (code === -32601) return 'method-not-found'
  const isOfServer = typeof code === 'number' && (code === -32600 || (code <= -32000 && code >= -32099))
  const accepted = isSuccessful(status)
  if (accepted && !isOfServer) return undefined
  const texts = [memberOf(error, 'message')]
  if (!accepted)
    texts.push(
      error,
      message,
      json === undefined ? body : undefined,
      ...plainTexts.map(name => memberOf(message, name))
    )
  const pattern = status === 401 || status === 403 ? notFound : notFoundOrAmbiguous
  const says = (text: unknown): boolean =>
    typeof text === 'string' && text.length <= MAX_TEXT_LENGTH && pattern.test(text.trim())
  return texts.some(says) ? 'session-not-found' : undefined
}

/** Where frameworks put the text of an error that is not of JSON-RPC. */
const plainTexts = ['message', 'detail']

/** The first JSON text in (the start of) an event stream, as servers write it: in one `data` line. */
export const firstMessageIn = (events: string): string => /^data: ?([{[].*)$/m.exec(events)?.[1] ?? ''
