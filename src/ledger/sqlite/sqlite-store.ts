// Owns the embedded store as its user sees it: SQLite in two worker threads, one that writes and one that reads.
import { Worker } from 'node:worker_threads'
import { connect, portChannel, type Remote, RemoteError } from '../../util/rpc.js'
import { threadFile } from '../../util/threads.js'
import {
  type LedgerRules,
  readerMethods,
  type SeriesPoint,
  type SeriesQuery,
  type Store,
  type StoreReader,
  writerMethods
} from '../store-port.js'
import { unpack } from './sqlite-packed-series.js'
import type { SqliteThread, SqliteThreadData } from './sqlite-thread-protocol.js'

/**
 * The database file at `path`, opened by the first call, made by the first that writes; nothing blocks the caller's event loop.
 * Only `migrate` makes the tables. `rules`: as for `sqlStore`.
 */
export function embeddedStore(path: string, rules: LedgerRules): Store {
  const writer = new Thread({ path, mayMake: true, rules })
  const reader = new Thread({ path, mayMake: false, rules })
  return {
    ...callsTo(writer, writerMethods),
    ...callsTo(reader, readerMethods as readonly Exclude<keyof StoreReader, 'series'>[]),
    series: query => readSeries(reader, query),
    async close() {
      await Promise.all([writer.close(), reader.close()])
    }
  }
}

/** Methods of the store that are carried out by a thread. */
function callsTo<Name extends keyof SqliteThread>(
  thread: Thread,
  names: readonly Name[]
): Pick<SqliteThread, Name> {
  const calls = names.map(name => [
    name,
    (...args: Parameters<SqliteThread[Name]>) => thread.call(name, ...args)
  ])
  return Object.fromEntries(calls) as Pick<SqliteThread, Name>
}

async function* readSeries(reader: Thread, query: SeriesQuery): AsyncGenerator<SeriesPoint[]> {
  const series = await reader.call('openSeries', query)
  try {
    for (;;) {
      const part = await reader.call('nextPart', series)
      if (part === undefined) return
      yield unpack(part)
    }
  } finally {
    await reader.call('closeSeries', series)
  }
}

/** A thread that starts when it is called and does not run, and keeps the process alive only while a call is pending. */
class Thread {
  readonly #data: SqliteThreadData
  #started: { worker: Worker; remote: Remote<SqliteThread> } | undefined
  #pendingCalls = 0
  #closed = false

  constructor(data: SqliteThreadData) {
    this.#data = data
  }

  /** Rejects as the method does, and when the thread ended. */
  async call<Name extends keyof SqliteThread>(
    name: Name,
    ...args: Parameters<SqliteThread[Name]>
  ): Promise<Awaited<ReturnType<SqliteThread[Name]>>> {
    if (this.#closed) throw new RemoteError('CLOSED', 'the store is closed')
    const { worker, remote } = (this.#started ??= this.#start())
    worker.ref()
    this.#pendingCalls++
    try {
      return await remote.$call(name, ...args)
    } finally {
      if (--this.#pendingCalls === 0) worker.unref()
    }
  }

  async close(): Promise<void> {
    const started = this.#started
    if (started !== undefined) await this.call('close')
    this.#closed = true
    await started?.worker.terminate()
  }

  #start(): { worker: Worker; remote: Remote<SqliteThread> } {
    const worker = new Worker(threadFile('./sqlite-thread.js', import.meta.url), {
      workerData: this.#data,
      execArgv: []
    })
    const remote = connect<SqliteThread>(portChannel(worker), {}, { timeoutMs: Infinity })
    const end = (error: Error): void => {
      remote.$close(error)
      if (this.#started?.worker === worker) this.#started = undefined
    }
    worker.on('error', end)
    worker.on('exit', () => end(new RemoteError('CLOSED', 'the thread of the store ended')))
    return { worker, remote }
  }
}
