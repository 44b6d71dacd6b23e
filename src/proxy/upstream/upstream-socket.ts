// Owns opening a socket to the upstream, with or without TLS.
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/**
 * Opens a socket to the upstream, with TLS for `https:`; its port is the scheme's if the URL has none. With `onread` it reads into
 * the caller's buffer.
 */
export function openUpstreamSocket(upstream: URL, onread?: OnReadOpts): Socket {
  const host = hostOf(upstream)
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

/**
 * The server name for TLS (SNI): that of the upstream, not the `Host` that is passed on. Empty for an IP address, which cannot be
 * one (RFC 6066 §3).
 */
export function tlsServerName(upstream: URL): string {
  const host = hostOf(upstream)
  return isIP(host) ? '' : host
}

/** Without the brackets of an IPv6 address. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')
