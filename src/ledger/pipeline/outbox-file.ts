// Owns noticing that the outbox's file was removed or replaced while it is open: SQLite writes on into the file that nobody sees.
import type { Log } from '../../util/log.js'
import type { Closable } from '../../util/startup.js'
import { SECOND_MS } from '../../util/time.js'
import { fileAt } from '../sqlite/watched-file.js'

/** Looks once a second whether the file that is open is still at its path. */
export interface OutboxFile extends Closable {
  /** What is written now is gone when the process ends. */
  readonly lost: boolean
}

/** `path`: of the file, which is open already. A loss and a return are logged once each. */
export function watchOutboxFile(path: string, log: Log): OutboxFile {
  const opened = fileAt(path)
  let lost = false
  const look = (): void => {
    const isLost = fileAt(path) !== opened
    if (isLost === lost) return
    lost = isLost
    if (lost)
      log.error(
        { path },
        'the outbox was removed or replaced while it is in use: what is recorded now is lost when the process ends; restart it, or put the file back'
      )
    else log.info({ path }, 'the outbox is back')
  }
  const timer = setInterval(look, SECOND_MS).unref()
  return {
    get lost() {
      return lost
    },
    close() {
      clearInterval(timer)
      return Promise.resolve()
    }
  }
}
