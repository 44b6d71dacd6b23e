// Owns what a process of the proxy is to whoever starts it.
import type { Closable } from '../util/startup.js'
import type { Methods } from './rpc.js'

export interface App extends Closable {
  /** Where clients connect. */
  readonly proxyUrl: string
  /** Where operators ask. */
  readonly adminUrl: string
}

/** What the admin port is in front of: a proxy, or several that are one to clients. */
export interface Proxies extends Closable, Methods {
  readonly proxyUrl: string
}
