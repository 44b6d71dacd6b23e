// Owns TLS in front of an HTTP server: its files, read again when they change, and connections that are handed on decrypted.
//
// The HTTP server stays a plain one and gets TLS sockets in place of TCP sockets (Node, http `connection` event: it may be emitted
// to inject connections), so that all that is done to connections is done once, for both.
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { createServer, createSecureContext, TLSSocket } from 'node:tls'
import { reasonOf } from './errors.js'
import { type Log, ThrottledLog } from './log.js'
import type { Closable } from './startup.js'
import { MINUTE_MS, SECOND_MS } from './time.js'

/** How often the files are read. Chosen: reading finds every change, also behind the symbolic links of Kubernetes. */
const READ_INTERVAL_MS = 5 * SECOND_MS

/** Paths of PEM files. */
export interface TlsFiles {
  /** The certificate, and those between it and its authority. */
  cert: string
  key: string
  /** The authorities whose clients may connect; undefined: clients need no certificate. */
  clientCa?: string | undefined
}

interface Pems {
  cert: Buffer
  key: Buffer
  ca?: Buffer
}

/** What the files say. Throws where one cannot be read, or where they do not fit together. */
export function readTlsFiles({ cert, key, clientCa }: TlsFiles): Pems {
  const pems = {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(clientCa !== undefined && { ca: readFileSync(clientCa) })
  }
  createSecureContext(pems)
  return pems
}

/**
 * Takes the connections of `server`, which has all its listeners for them already, and hands them to these once the handshake is
 * done. Files that cannot be used later change nothing, and are logged.
 */
export function startTlsFront(
  server: Server,
  files: TlsFiles,
  handshakeTimeoutMs: number,
  log: Log
): Closable {
  const failures = new ThrottledLog(log, 1, MINUTE_MS)
  const pems = readTlsFiles(files)
  const listeners = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  const handOn = (socket: Socket): void => listeners.forEach(listener => listener.call(server, socket))
  /** Connections in their handshake, by their other ends. */
  const shaking = new Map<string, Socket>()
  let closing = false
  server.removeAllListeners('connection')
  const front = createServer(
    {
      ...pems,
      ALPNProtocols: ['http/1.1'],
      requestCert: files.clientCa !== undefined,
      rejectUnauthorized: files.clientCa !== undefined,
      ...(handshakeTimeoutMs > 0 && { handshakeTimeout: handshakeTimeoutMs })
    },
    socket => {
      shaking.delete(peerOf(socket))
      // Node resets TCP sockets only. What is cut off is seen from the missing end of TLS (RFC 8446 §6.1).
      socket.resetAndDestroy = () => socket.destroy()
      handOn(socket)
    }
  )
  front.on('tlsClientError', error => failures.info({ reason: reasonOf(error) }, 'a TLS handshake failed'))
  // A connection may come back in the middle: then it has its TLS.
  server.on('connection', socket => {
    if (socket instanceof TLSSocket) return handOn(socket)
    if (closing) return void socket.destroy()
    // HTTP servers leave it open; then a client that leaves within its handshake would stay.
    socket.allowHalfOpen = false
    const peer = peerOf(socket)
    shaking.set(peer, socket)
    socket.once('close', () => shaking.delete(peer))
    front.emit('connection', socket)
  })
  const watch = watchFiles(files, pems, changed => front.setSecureContext(changed), log)
  return {
    close() {
      closing = true
      clearInterval(watch)
      for (const socket of shaking.values()) socket.destroy()
      return Promise.resolve()
    }
  }
}

const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

function watchFiles(files: TlsFiles, first: Pems, use: (pems: Pems) => void, log: Log): NodeJS.Timeout {
  let known = textOf(first)
  let failure = ''
  return setInterval(() => {
    try {
      const pems = readTlsFiles(files)
      if (textOf(pems) !== known) {
        use(pems)
        known = textOf(pems)
        log.info({ file: files.cert }, 'a new TLS certificate is in use')
      }
      failure = ''
    } catch (error) {
      const reason = reasonOf(error)
      // While two files are replaced they do not fit together for a moment.
      if (reason !== failure)
        log.warn(
          { file: files.cert, reason },
          'the TLS files cannot be used; the certificate from before stays in use'
        )
      failure = reason
    }
  }, READ_INTERVAL_MS).unref()
}

const textOf = ({ cert, key, ca }: Pems): string => [cert, key, ca ?? ''].join('\0')
