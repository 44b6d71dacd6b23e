// Owns the admin port's HTTP server where it has TLS, made as Fastify makes one without.
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { Log } from '../util/log.js'
import type { Closable } from '../util/startup.js'
import { startTlsFront, type TlsFiles } from '../util/tls-front.js'

/** The limits of the server, in milliseconds; 0: none. */
export interface SecureServerOptions {
  http: ServerOptions
  requestTimeoutMs: number
  keepAliveTimeoutMs: number
}

/** A server whose connections have TLS, and what ends the watch of its files. Throws where the files cannot be used. */
export function secureServer(
  handler: RequestListener,
  { http, requestTimeoutMs, keepAliveTimeoutMs }: SecureServerOptions,
  files: TlsFiles,
  log: Log
): { server: Server; front: Closable } {
  const server = createServer(http, handler)
  server.requestTimeout = requestTimeoutMs
  server.keepAliveTimeout = keepAliveTimeoutMs
  return { server, front: startTlsFront(server, files, requestTimeoutMs, log) }
}
