// Owns what differs in TiDB, which speaks MySQL's protocol: how it is told from others, the errors after which it wants a
// transaction again, and what its ALTER TABLE cannot do.
import { reasonOf } from '../../util/errors.js'
import { UnusableStoreError } from '../store-port.js'

/**
 * Numbers of errors after which a transaction may be repeated (TiDB's documentation, "Error Codes and Troubleshooting"): a
 * write conflict (9007, 8002, 8022), and a table that was changed meanwhile (8028).
 */
export const TIDB_RETRY_ERRORS = new Set<unknown>([8002, 8022, 8028, 9007])
/** ErrUnsupportedDDLOperation: nothing was changed. */
const UNSUPPORTED_CHANGE = 8200

/** Runs one statement. */
type Run = (statement: string) => Promise<readonly object[]>

/** Whether the server is a TiDB. Its version may be set to anything, this variable is in all of them. */
export const isTidb = async (run: Run): Promise<boolean> =>
  (await run("SHOW VARIABLES LIKE 'tidb_txn_mode'")).length > 0

/** Runs ALTER TABLE once for each list of clauses: TiDB refuses clauses of one statement that are about the same column or key. */
export async function alterInSteps(
  run: Run,
  table: string,
  steps: readonly (readonly string[])[]
): Promise<void> {
  for (const clauses of steps.filter(({ length }) => length > 0)) {
    try {
      await run(`ALTER TABLE ${table} ${clauses.join(', ')}`)
    } catch (error) {
      if ((error as { errno?: unknown }).errno !== UNSUPPORTED_CHANGE) throw error
      throw new UnusableStoreError(
        `${table} cannot be changed to what is needed, TiDB says "${reasonOf(error)}": rename it`,
        { cause: error }
      )
    }
  }
}
