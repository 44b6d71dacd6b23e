// Owns the wiring of a whole process: the proxy with its accounting, and the admin port beside it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import { startInOrder } from '../util/startup.js'
import { startAdminPort } from './admin-thread-host.js'
import type { App, Proxies } from './process.js'
import { startInstance } from './proxy-instance.js'
import type { Methods } from './rpc.js'

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
