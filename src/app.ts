// Owns the wiring of a whole process: the proxy with its accounting, and the admin port beside it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { startAdminPort } from './admin-port.js'
import type { Methods } from './calls.js'
import type { Config } from './config.js'
import { type Closable, startInOrder } from './in-order.js'
import { startInstance } from './instance.js'

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

/** Starts everything in this process. Throws when a port, the data directory or the embedded store cannot be used. */
export const startApp = (config: Config, logger: FastifyBaseLogger): Promise<App> =>
  startAround(config, logger, () => startInstance(config, logger))

/** Starts proxies and an admin port; `close` ends the proxies first, while operators can still ask. */
export async function startAround(
  config: Config,
  logger: FastifyBaseLogger,
  startProxies: () => Promise<Proxies>
): Promise<App> {
  return await startInOrder(async onClose => {
    let closeAdmin = (): Promise<void> => Promise.resolve()
    onClose(() => closeAdmin())
    const proxies = await startProxies()
    onClose(() => proxies.close())
    let closing = false
    const health: Methods['health'] = async () => {
      const { ready, ...checks } = await proxies.health()
      return { ready: ready && !closing, ...checks, closing }
    }
    const admin = await startAdminPort(config, proxies.proxyUrl, { ...proxies, health }, logger)
    closeAdmin = () => admin.close()
    onClose(async () => {
      closing = true
      await sleep(config.drainDelayMs)
    })
    return { proxyUrl: proxies.proxyUrl, adminUrl: admin.url }
  })
}
