// Owns the reference MCP server of the registry, `@modelcontextprotocol/server-everything`, as an upstream on loopback.
import { fileURLToPath } from 'node:url'
import { type ServerProcess, startServerProcess } from './server-process.js'

const INDEX = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
/** A preload for node: all servers listen on loopback only. */
export const LOOPBACK = new URL('./loopback.js', import.meta.url).href

/** The command for it on standard input and output. */
export const everythingOnStdio = [process.execPath, INDEX, 'stdio']

/** Streamable HTTP is at `/mcp`; the legacy transport at `/sse`, its messages at `/message`. */
export const startEverything = (transport: 'streamableHttp' | 'sse', port?: number): Promise<ServerProcess> =>
  startServerProcess(
    port => ({
      file: process.execPath,
      args: ['--import', LOOPBACK, INDEX, transport],
      env: { PORT: String(port) }
    }),
    port
  )
