// Owns the thread of the embedded store: makes the store's methods callable, and hands out series part by part as asked.
import { parentPort, workerData } from 'node:worker_threads'
import { connect, portChannel } from '../../util/rpc.js'
import { parkAtExit } from '../../util/threads.js'
import { sqlStore } from '../sql/sql-store.js'
import type { SeriesPoint } from '../store-port.js'
import { openSqlite } from './sqlite-database.js'
import { pack } from './sqlite-packed-series.js'
import type { SqliteThread, SqliteThreadData } from './sqlite-thread-protocol.js'

const { path, mayMake, rules } = workerData as SqliteThreadData
const opened = new Map<number, AsyncIterator<SeriesPoint[]>>()
let lastSeries = 0

function methods(): SqliteThread {
  const store = sqlStore(openSqlite(path, mayMake), rules)
  return {
    ...store,
    openSeries(query) {
      opened.set(++lastSeries, store.series(query)[Symbol.asyncIterator]())
      return lastSeries
    },
    async nextPart(series) {
      const part = await opened.get(series)!.next()
      return part.done ? undefined : pack(part.value)
    },
    closeSeries: series => void opened.delete(series)
  }
}

parkAtExit()
connect(portChannel(parentPort!), methods(), { timeoutMs: Infinity })
