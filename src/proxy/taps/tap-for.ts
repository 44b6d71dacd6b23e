// Owns which tap reads a request and its response.
import type { RoutedRequest } from '../http/routed-request.js'
import { LegacyStreamTap, MessageTap } from './legacy-taps.js'
import { StreamableTap } from './streamable-tap.js'
import type { Accounting, Tap, TappedUpstream } from './tap.js'
import { UnroutedStreamTap } from './unrouted-stream-tap.js'

/** The tap for a request; undefined where nothing is read. */
export function tapFor(
  request: RoutedRequest,
  accounting: Accounting,
  upstream: TappedUpstream
): Tap | undefined {
  const { route } = request.target
  switch (route?.kind) {
    case undefined:
      return request.req.method === 'GET' ? new UnroutedStreamTap(request, accounting.notices) : undefined
    case 'streamable':
      return new StreamableTap(route.endpointId, request, accounting, upstream)
    case 'legacy-stream':
      return new LegacyStreamTap(route.endpointId, request, accounting, upstream)
    case 'message':
      return new MessageTap(route, request, accounting, upstream)
  }
}
