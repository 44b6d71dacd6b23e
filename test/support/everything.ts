// Owns the reference MCP server of the registry, `@modelcontextprotocol/server-everything`, as an upstream on loopback.
import { fileURLToPath } from 'node:url'
import { type ServerProcess, startServerProcess } from './server-process.js'

const INDEX = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
const LOOPBACK = new URL('./loopback.js', import.meta.url).href

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
