// Owns a worker's process (`--workers`): a proxy instance that the primary calls, and that ends when the primary ends.
import { join } from 'node:path'
import type { Config } from '../config/settings.js'
import { reasonOf } from '../util/errors.js'
import type { DroppedLines } from '../util/log-lines.js'
import { connect, ipcChannel } from '../util/rpc.js'
import { exitParked } from '../util/threads.js'
import { CALL_TIMEOUT_MS, type Startable, type StartReport, type WorkerMethods } from './instance-methods.js'
import { droppedLinesMetric, type ProcessLog } from './process-log.js'
import { type ProxyInstance, startProxyInstance } from './proxy-instance.js'
import { startRequestSinks } from './request-sinks.js'

/** Set in the environment of a worker: its number, from 1 on. */
export const WORKER_NUMBER_VARIABLE = 'TURNSTILE_WORKER_NUMBER'

/** Resolves once the instance is started, or has reported to the primary why it is not. */
export async function runWorker(config: Config, { logger, dropped }: ProcessLog): Promise<void> {
  const number = Number(process.env[WORKER_NUMBER_VARIABLE])
  const log = logger.child({ worker: number })
  // Terminals and service managers signal every process of a group; the primary says when to end.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined)
  const started = startOf(config, number, dropped, log)
  const methods = started.then((instance): WorkerMethods & Startable => ({
    ...instance,
    async metrics() {
      const [snapshot] = await instance.metrics()
      return [snapshot && { ...snapshot, metrics: [...snapshot.metrics, droppedLinesMetric(dropped)] }]
    },
    async shutDown() {
      try {
        await instance.close()
        process.exit(0)
      } catch (error) {
        log.error(error, 'closing failed')
        await exitParked(1)
      }
    }
  }))
  const primary = connect<StartReport>(ipcChannel(process), methods, { timeoutMs: CALL_TIMEOUT_MS })
  try {
    const { proxyUrl } = await started
    void primary.started.asEvent(proxyUrl).catch(() => undefined)
  } catch (error) {
    await primary.failed.asEvent(reasonOf(error)).catch(() => undefined)
    process.disconnect()
  }
}

const startOf = async (
  config: Config,
  number: number,
  dropped: DroppedLines,
  log: ProcessLog['logger']
): Promise<ProxyInstance> =>
  startProxyInstance(shareOf(config, number), log, await startRequestSinks(config, dropped, log))

/** The configuration of one worker: the first keeps the data directory of a proxy without workers; load limits are divided. */
function shareOf(config: Config, number: number): Config {
  const share = (limit: number): number => Math.ceil(limit / config.workers)
  return {
    ...config,
    dataDir: number === 1 ? config.dataDir : join(config.dataDir, `worker-${number}`),
    maxConnections: share(config.maxConnections),
    maxStreams: share(config.maxStreams),
    maxRequests: share(config.maxRequests)
  }
}
