#!/usr/bin/env node
// Owns the command line: settings in, exit codes and signals out.
import cluster from 'node:cluster'
import { type App, startApp } from './app/app.js'
import { runCheck } from './app/check-command.js'
import { runCopy } from './app/copy-command.js'
import { startProcessLog } from './app/process-log.js'
import { runWorker } from './app/worker-process.js'
import { startPrimary } from './app/workers.js'
import { informationAsked } from './config/help.js'
import { ConfigError, parseCheckConfig, parseConfig, parseCopyConfig } from './config/read-settings.js'
import { shownUpstreams } from './config/upstream-list.js'
import { reasonOf } from './util/errors.js'
import { exitParked } from './util/threads.js'

/** The exit code for a setting that cannot be used: an unknown flag, a bad URL, a port or file that cannot be opened. */
const EXIT_UNUSABLE = 2

/** Ends the process with one line that says why. */
function refuse(error: unknown): never {
  console.error(`mcp-turnstile: ${reasonOf(error)}`)
  process.exit(EXIT_UNUSABLE)
}

function orRefuse<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof ConfigError) refuse(error)
    throw error
  }
}

const args = process.argv.slice(2)
const information = informationAsked(args)
if (information !== undefined) {
  console.log(information)
  process.exit(0)
}
if (args[0] === 'check') {
  const options = orRefuse(() => parseCheckConfig(args.slice(1), process.env))
  process.exit(await runCheck(options).catch(refuse))
}
if (args[0] === 'copy') {
  const options = orRefuse(() => parseCopyConfig(args.slice(1), process.env))
  process.exit(await runCopy(options).catch(refuse))
}
const config = orRefuse(() => parseConfig(args, process.env))
const log = startProcessLog(config.logLevel)
// By default this ends a process: when its terminal is closed, or by habit, to make it read its settings again.
process.on('SIGHUP', () => {
  if (config.upstreamFile === undefined)
    log.logger.info('SIGHUP is ignored: settings are read at the start only')
})
if (cluster.isWorker) await runWorker(config, log)
else await run()

async function run(): Promise<void> {
  const start = config.workers === 1 ? startApp : startPrimary
  const app: App = await start(config, log).catch(refuse)
  const { logger } = log
  logger.info(
    { proxyUrl: app.proxyUrl, adminUrl: app.adminUrl, upstream: shownUpstreams(config) },
    'listening'
  )

  let closing = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (closing) return void exitParked(1)
      closing = true
      logger.info({ signal }, 'closing')
      app.close().then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error(error, 'closing failed')
          void exitParked(1)
        }
      )
    })
  }
}
