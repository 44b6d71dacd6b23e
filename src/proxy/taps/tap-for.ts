// Owns which tap reads a request and its response.
import type { IncomingMessage } from 'node:http'
import { LegacyStreamTap, MessageTap } from './legacy-taps.js'
import { StreamableTap } from './streamable-tap.js'
import type { Accounting, Tap } from './tap.js'

/** The tap for a request whose target, in origin-form, is `target`; undefined where nothing is accounted. */
export function tapFor(req: IncomingMessage, target: string, accounting: Accounting): Tap | undefined {
  const route = accounting.routes.match(req.method, target)
  switch (route?.kind) {
    case undefined:
      return undefined
    case 'streamable':
      return new StreamableTap(route.endpointId, req, target, accounting)
    case 'legacy-stream':
      return new LegacyStreamTap(route.endpointId, req, accounting)
    case 'message':
      return new MessageTap(route, req, accounting)
  }
}
