// Owns looking at the start of a request's body before it is forwarded.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** So long is waited for the first bytes. Chosen: some clients send the body in a packet of its own, right behind the head. */
const WAIT_MS = 250
/** So much is looked at. Chosen: ample for the short members that SDKs write before the method. */
const START_BYTES = 512

/** The method of a JSON-RPC request, where only short members come before it, as all SDKs write it. */
const METHOD =
  /^\s*\{\s*(?:"(?:jsonrpc|id)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|null)\s*,\s*)*"method"\s*:\s*"([^"\\]*)"/

/** The method that the start of a body names; undefined where it does not say it. */
export const methodIn = (start: string): string | undefined => METHOD.exec(start)?.[1]

/** The first bytes as text (Latin-1), which stay where they are; empty where none come in time. */
export async function startOfBody(req: IncomingMessage): Promise<string> {
  if (req.readableLength === 0 && !req.complete) {
    const waiting = new AbortController()
    const { signal } = waiting
    const readable = once(req, 'readable', { signal })
    await Promise.race([readable, sleep(WAIT_MS, undefined, { signal, ref: false })]).catch(() => undefined)
    waiting.abort()
    await readable.catch(() => undefined)
  }
  const start = req.read() as Buffer | null
  if (start !== null) req.unshift(start)
  return start?.toString('latin1', 0, START_BYTES) ?? ''
}
