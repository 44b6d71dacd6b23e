// Owns the thread of the admin port as the process sees it: started, answered, started anew if it dies, ended.
//
// What operators ask, JSON of thousands of rows and pushes to everyone who watches, would hold up proxied requests: so it
// is done by another thread, with a heap and connections to the store of its own.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/settings.js'
import type { Closable } from '../util/startup.js'
import { threadFile } from '../util/threads.js'
import type { AdminPortData } from './admin-thread-protocol.js'
import { answerCall, type Call, type Methods, type Start } from './rpc.js'

const RESTART_DELAY_MS = 1_000
/** The id of a thread that ended. */
const GONE = -1

/** Throws when the port cannot be had. */
export async function startAdminPort(
  config: Config,
  proxyUrl: string,
  methods: Methods,
  logger: FastifyBaseLogger
): Promise<Closable & { url: string }> {
  let closing = false
  let worker: Worker

  const start = async (port: number): Promise<string> => {
    const admin = { ...config.admin, port }
    const data: AdminPortData = { config: { ...config, admin, upstream: config.upstream.href }, proxyUrl }
    const thread = (worker = new Worker(threadFile('./admin-thread.js', import.meta.url), {
      workerData: data,
      execArgv: []
    }))
    const started = new Promise<Start>(resolve => {
      thread.on('message', (message: Start | Call) => {
        if ('id' in message) void answerCall(message, methods).then(answer => thread.postMessage(answer))
        else resolve(message)
      })
      thread.once('error', error => resolve({ failed: error.message }))
    })
    const outcome = await started
    if ('failed' in outcome) throw new Error(outcome.failed)
    const url = outcome.started
    thread.once('error', error => restart(Number(new URL(url).port), error))
    return url
  }

  const restart = (port: number, error: unknown): void => {
    if (closing) return
    logger.error(error, 'the admin port died and is started anew')
    setTimeout(() => {
      if (closing) return
      start(port).catch((failure: unknown) => restart(port, failure))
    }, RESTART_DELAY_MS)
  }

  return {
    url: await start(config.admin.port),
    async close() {
      closing = true
      if (worker.threadId === GONE) return
      const exited = once(worker, 'exit')
      worker.postMessage('close')
      await exited
    }
  }
}
