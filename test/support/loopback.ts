// Owns a preload (`node --import`) for servers that would listen on all interfaces: they listen on loopback only.
import { type ListenOptions, Server } from 'node:net'

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its `this` below
const listen = Server.prototype.listen as (this: Server, ...args: unknown[]) => Server

Server.prototype.listen = function (this: Server, ...args: unknown[]): Server {
  const [first, ...rest] = args
  const options: ListenOptions =
    typeof first === 'object' ? (first as ListenOptions) : { port: Number(first) }
  return listen.call(
    this,
    { ...options, host: '127.0.0.1' },
    ...rest.filter(arg => typeof arg === 'function')
  )
} as typeof Server.prototype.listen
