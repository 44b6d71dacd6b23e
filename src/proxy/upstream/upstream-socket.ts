// Owns opening a socket to the upstream, with or without TLS.
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export function connect(upstream: URL, onread?: OnReadOpts): Socket {
  const host = upstream.hostname.replace(/^\[|\]$/g, '')
  const reading = onread && { onread }
  if (upstream.protocol === 'http:') {
    return connectTcp({ host, port: Number(upstream.port || 80), noDelay: true, ...reading })
  }
  const options = {
    host,
    port: Number(upstream.port || 443),
    noDelay: true,
    ...reading,
    ALPNProtocols: ['http/1.1']
  }
  return connectTls({ ...options, servername: tlsServerName(upstream) })
}

/** The name for TLS is the upstream's, not the `Host` that is passed on; an IP address is none (RFC 6066 §3). */
export function tlsServerName(upstream: URL): string {
  const hostname = upstream.hostname.replace(/^\[|\]$/g, '')
  return isIP(hostname) ? '' : hostname
}
