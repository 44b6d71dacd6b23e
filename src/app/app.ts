// Owns the wiring of a whole process: the proxy with its accounting, and the admin port beside it.
import { setTimeout as sleep } from 'node:timers/promises'
import { MIN_GOOD_LENGTH } from '../config/admin-token.js'
import type { Config } from '../config/settings.js'
import type { Log } from '../util/log.js'
import { type Closable, startInOrder } from '../util/startup.js'
import { adminThreadData, startAdminThread, tokensOf } from './admin-thread-host.js'
import type { InstanceMethods, Proxies } from './instance-methods.js'
import type { ProcessLog } from './process-log.js'
import { startProxyInstance } from './proxy-instance.js'
import { startRequestSinks } from './request-sinks.js'

/** What runs once everything is started. */
export interface App extends Closable {
  /** Where clients connect. */
  readonly proxyUrl: string
  /** Where operators ask. */
  readonly adminUrl: string
  /** Takes what files say now; `config` is read again from the same flags. */
  reload(config: Config): Promise<void>
}

/** Starts everything in this process. Throws when a port, the data directory or the embedded store cannot be used. */
export const startApp = (config: Config, log: ProcessLog): Promise<App> =>
  startAround(config, log, async () =>
    startProxyInstance(config, log.logger, await startRequestSinks(config, log.dropped, log.logger))
  )

/** Starts proxies and an admin port; `close` ends the proxies first, while operators can still ask. */
export async function startAround(
  config: Config,
  log: ProcessLog,
  startProxies: () => Promise<Proxies>
): Promise<App> {
  warnOfShortTokens(config, log.logger)
  return await startInOrder(async onClose => {
    let closeAdmin = (): Promise<void> => Promise.resolve()
    onClose(() => closeAdmin())
    const proxies = await startProxies()
    onClose(() => proxies.close())
    let closing = false
    const health: InstanceMethods['health'] = async () => {
      const { ready, ...checks } = await proxies.health()
      return { ready: ready && !closing, ...checks, closing }
    }
    const data = adminThreadData(config, proxies.proxyUrl, log.dropped)
    const admin = await startAdminThread(data, { ...proxies, health }, log.logger)
    closeAdmin = () => admin.close()
    onClose(async () => {
      closing = true
      // While the proxies can still be asked.
      await Promise.all([admin.finishMetrics(), sleep(config.drainDelayMs)])
    })
    return {
      proxyUrl: proxies.proxyUrl,
      adminUrl: admin.url,
      async reload(config: Config) {
        proxies.hangUp?.()
        warnOfShortTokens(config, log.logger)
        await admin.setTokens(tokensOf(config))
      }
    }
  })
}

function warnOfShortTokens(config: Config, log: Log): void {
  const short = tokensOf(config).filter(({ secret }) => secret.length < MIN_GOOD_LENGTH).length
  if (short > 0)
    log.warn(
      { tokens: short },
      `an admin token has fewer than ${MIN_GOOD_LENGTH} characters, so it may be guessed`
    )
}
