// Owns the embedded store as its user sees it: SQLite in two worker threads, one that writes and one that reads.
import { Worker } from 'node:worker_threads'
import { threadFile } from '../../util/threads.js'
import type { SeriesPoint, SeriesQuery, Store } from '../store-port.js'
import { type PackedPoints, unpack } from './sqlite-packed-series.js'
import type { CallName, Reply, Request, SqliteThreadData } from './sqlite-thread-protocol.js'

/**
 * The database file at `path`, opened by what is asked first; nothing blocks the caller's event loop. Only `migrate`
 * makes the tables. `idleTimeoutMs`: as for `sqlStore`.
 */
export function embeddedStore(path: string, idleTimeoutMs = 0): Store {
  const writer = new Thread(path, idleTimeoutMs)
  const reader = new Thread(path, idleTimeoutMs)
  return {
    migrate: () => writer.call('migrate', []),
    register: (...args) => writer.call('register', args),
    apply: (...args) => writer.call('apply', args),
    heartbeat: (...args) => writer.call('heartbeat', args),
    loseStreams: (...args) => writer.call('loseStreams', args),
    closeIdle: (...args) => writer.call('closeIdle', args),
    settleEarlyCloses: (...args) => writer.call('settleEarlyCloses', args),
    deleteEnded: (...args) => writer.call('deleteEnded', args),
    deleteFeed: (...args) => writer.call('deleteFeed', args),
    deleteRollups: (...args) => writer.call('deleteRollups', args),
    connections: (...args) => reader.call('connections', args),
    session: (...args) => reader.call('session', args),
    counts: (...args) => reader.call('counts', args),
    liveCounts: (...args) => reader.call('liveCounts', args),
    totals: (...args) => reader.call('totals', args),
    snapshot: (...args) => reader.call('snapshot', args),
    busiest: (...args) => reader.call('busiest', args),
    census: (...args) => reader.call('census', args),
    instances: (...args) => reader.call('instances', args),
    feed: (...args) => reader.call('feed', args),
    series: query => reader.series(query),
    metrics: () => writer.call('metrics', []),
    async close() {
      await Promise.all([writer.close(), reader.close()])
    }
  }
}

interface Waiting {
  resolve: (value: never) => void
  reject: (error: Error) => void
}

/** Starts when it is first asked something. */
class Thread {
  readonly #data: SqliteThreadData
  #started: Worker | undefined
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #failure: Error | undefined

  constructor(path: string, idleTimeoutMs: number) {
    this.#data = { path, idleTimeoutMs }
  }

  call<Name extends CallName>(method: Name, args: Parameters<Store[Name]>): ReturnType<Store[Name]> {
    return this.#ask({ id: ++this.#lastId, method, args }) as ReturnType<Store[Name]>
  }

  async *series(query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
    const stream = ++this.#lastId
    await this.#ask({ id: stream, method: 'series', args: [query] })
    try {
      for (;;) {
        const chunk = await this.#ask({ id: ++this.#lastId, method: 'next', stream })
        if (chunk === undefined) return
        yield unpack(chunk as PackedPoints)
      }
    } finally {
      await this.#ask({ id: ++this.#lastId, method: 'cancel', stream })
    }
  }

  async close(): Promise<void> {
    if (this.#started === undefined) return
    await this.call('close', [])
    await this.#started.terminate()
  }

  get #worker(): Worker {
    return (this.#started ??= this.#start())
  }

  #start(): Worker {
    const worker = new Worker(threadFile('./sqlite-thread.js', import.meta.url), {
      workerData: this.#data,
      execArgv: []
    })
    worker.unref()
    worker.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id)!
      this.#waiting.delete(reply.id)
      if ('error' in reply) waiting.reject(reply.error)
      else waiting.resolve(reply.value as never)
    })
    worker.on('error', error => this.#fail(error))
    worker.on('exit', () => this.#fail(new Error('the store is closed')))
    return worker
  }

  #ask(request: Request): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      this.#waiting.set(request.id, { resolve, reject })
      this.#worker.ref()
      this.#worker.postMessage(request)
    }).finally(() => {
      if (this.#waiting.size === 0) this.#started?.unref()
    })
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
