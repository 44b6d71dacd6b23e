// Owns the worker thread of the embedded store: runs its calls, and hands out series chunk by chunk as asked.
import { parentPort, workerData } from 'node:worker_threads'
import { sqlStore } from '../sql/sql-store.js'
import type { SeriesPoint } from '../store-port.js'
import { openSqlite } from './sqlite-database.js'
import { pack } from './sqlite-packed-series.js'
import type { Reply, Request, SqliteThreadData } from './sqlite-thread-protocol.js'

const port = parentPort!
const { path, idleTimeoutMs } = workerData as SqliteThreadData
const store = sqlStore(openSqlite(path), { idleTimeoutMs })
const streams = new Map<number, AsyncIterator<SeriesPoint[]>>()

port.on('message', (request: Request) => {
  answer(request).then(
    value => port.postMessage({ id: request.id, value } satisfies Reply),
    // libsql's errors are none to structuredClone, which would drop their message.
    (error: unknown) =>
      port.postMessage({ id: request.id, error: new Error((error as Error).message) } satisfies Reply)
  )
})

async function answer(request: Request): Promise<unknown> {
  switch (request.method) {
    case 'next': {
      const chunk = await streams.get(request.stream)!.next()
      if (!chunk.done) return pack(chunk.value)
      streams.delete(request.stream)
      return undefined
    }
    case 'cancel':
      streams.delete(request.stream)
      return undefined
    case 'series':
      streams.set(
        request.id,
        store.series(...(request.args as Parameters<typeof store.series>))[Symbol.asyncIterator]()
      )
      return undefined
    default: {
      const method = store[request.method].bind(store) as (...args: readonly unknown[]) => Promise<unknown>
      return await method(...request.args)
    }
  }
}
