#!/usr/bin/env node
// Owns the command line: settings in, exit codes and signals out.
import cluster from 'node:cluster'
import type { App } from './app/app.js'
import { informationAsked } from './config/help.js'
import { ConfigError, parseCheckConfig, parseConfig, parseCopyConfig } from './config/read-settings.js'
import { shownUpstreams } from './config/upstream-list.js'
import { commands } from './terminal/commands.js'
import { runCommand } from './terminal/run-command.js'
import { reasonOf } from './util/errors.js'
import { exitParked } from './util/threads.js'
import { wrapLines } from './util/wrap-lines.js'

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
const [command = ''] = args
if (Object.hasOwn(commands, command)) process.exit(await runCommand(command, args.slice(1), process.env))
const summaries = Object.entries(commands).map(([name, { summary }]): [string, string] => [name, summary])
const information = informationAsked(args, summaries)
if (information !== undefined) {
  console.log(wrapLines(information, process.stdout.columns))
  process.exit(0)
}
if (command === 'check') {
  const options = orRefuse(() => parseCheckConfig(args.slice(1), process.env))
  const { runCheck } = await import('./app/check-command.js')
  process.exit(await runCheck(options).catch(refuse))
}
if (command === 'copy') {
  const options = orRefuse(() => parseCopyConfig(args.slice(1), process.env))
  const { runCopy } = await import('./app/copy-command.js')
  process.exit(await runCopy(options).catch(refuse))
}
const config = orRefuse(() => parseConfig(args, process.env))
const { startProcessLog } = await import('./app/process-log.js')
const log = startProcessLog(config.logLevel)
// By default this ends a process: when its terminal is closed, or by habit, to make it read its settings again.
let hangUp = (): void => undefined
process.on('SIGHUP', () => hangUp())
if (cluster.isWorker) await (await import('./app/worker-process.js')).runWorker(config, log)
else await run()

async function run(): Promise<void> {
  const start =
    config.workers === 1
      ? (await import('./app/app.js')).startApp
      : (await import('./app/workers.js')).startPrimary
  const app: App = await start(config, log).catch(refuse)
  const { logger } = log
  hangUp = () => void reload(app)
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
  // Last: whoever reads it may send a signal at once.
  logger.info(
    { proxyUrl: app.proxyUrl, adminUrl: app.adminUrl, upstream: shownUpstreams(config) },
    'listening'
  )
}

/** Reads the files of the settings again; the flags and variables are what they were. */
async function reload(app: App): Promise<void> {
  const { logger } = log
  try {
    await app.reload(parseConfig(args, process.env))
    logger.info('SIGHUP: tokens and lists are read again')
  } catch (error) {
    logger.warn({ reason: reasonOf(error) }, 'SIGHUP: a file cannot be used; what was read before stays')
  }
}
