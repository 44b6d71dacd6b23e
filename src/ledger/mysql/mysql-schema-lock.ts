// Owns the lock that lets one instance at a time change the tables.
import { codeOf, TurnstileError } from '../../util/errors.js'
import type { All } from './mysql-schema.js'
import { isOfServer } from './mysql-session.js'

/** One lock for each database. The hash keeps the name within MySQL's limit of 64 characters (GET_LOCK). */
const LOCK = "CONCAT('turnstile ', MD5(DATABASE()))"
/** A row of this table is the lock where the server forbids GET_LOCK, as Percona's clusters do. */
const LOCK_TABLE = 'turnstile_schema_lock'

/** Another instance is changing the tables; the caller tries again later. */
export class SchemaLockedError extends TurnstileError {
  readonly code = 'TURNSTILE_SCHEMA_LOCKED'

  constructor(options?: ErrorOptions) {
    super('another instance is upgrading the tables; this one waits until it is done', options)
  }
}

/**
 * Takes the lock for changing tables; no other instance gets it until the connection ends that holds it: the one behind `all`,
 * or, where GET_LOCK is forbidden, the one behind `other`. Throws `SchemaLockedError` if another instance holds the lock for
 * `waitS` seconds.
 *
 * A row is locked on one node of a cluster only. Its nodes make changes of tables one after the other, and each step of an
 * upgrade may be made twice, so that is enough there.
 */
export async function lockSchema(all: All, other: () => Promise<All>, waitS: number): Promise<void> {
  let row
  try {
    ;[row] = await all(`SELECT GET_LOCK(${LOCK}, ?) AS locked`, [waitS])
  } catch (error) {
    if (!isOfServer(error)) throw error
    return lockRow(await other(), waitS)
  }
  if (Number(row?.locked) !== 1) throw new SchemaLockedError()
}

async function lockRow(all: All, waitS: number): Promise<void> {
  await all(
    `CREATE TABLE IF NOT EXISTS ${LOCK_TABLE} (id TINYINT NOT NULL, PRIMARY KEY (id)) ENGINE = InnoDB`
  )
  await all(`SET SESSION innodb_lock_wait_timeout = ${waitS}`)
  await all('START TRANSACTION')
  try {
    await all(`INSERT INTO ${LOCK_TABLE} (id) VALUES (1) ON DUPLICATE KEY UPDATE id = 1`)
  } catch (error) {
    if (codeOf(error) !== 'ER_LOCK_WAIT_TIMEOUT') throw error
    throw new SchemaLockedError({ cause: error })
  }
}
