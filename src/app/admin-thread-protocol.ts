// Owns what the admin thread is started with.
import type { Config } from '../config/settings.js'

/** What the thread is started with; a URL cannot be cloned. */
export interface AdminPortData {
  config: Omit<Config, 'upstream'> & { upstream: string }
  proxyUrl: string
}
