// Owns noticing that a database file was removed or replaced while it is open: SQLite writes on into the file that nobody sees.
import { statSync } from 'node:fs'
import type { Log } from '../../util/log.js'
import type { Closable } from '../../util/startup.js'
import { SECOND_MS } from '../../util/time.js'

/** Looks once a second whether the file that is open is still at its path. */
export interface FileWatch extends Closable {
  /** What is written now is gone when the process ends. */
  readonly lost: boolean
}

/** `path`: of a database file that is open already. A loss and a return are logged once each. */
export function watchFile(path: string, log: Log): FileWatch {
  const opened = identityOf(path)
  let lost = false
  const look = (): void => {
    const isLost = identityOf(path) !== opened
    if (isLost === lost) return
    lost = isLost
    if (lost)
      log.error(
        { path },
        'a database file was removed or replaced while it is in use: what is recorded now is lost when the process ends; restart it, or put the file back'
      )
    else log.info({ path }, 'the database file is back')
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

/** Undefined where there is none. */
function identityOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true })
  return found && `${found.dev} ${found.ino}`
}
