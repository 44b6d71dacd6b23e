// Owns who delivers to a webhook, by a lease, and how far it has got: one row for each webhook.
import type { EpochMs } from '../../../util/time.js'
import type { WebhookTurn, WebhookTurnRequest } from '../../event-port.js'
import type { Database } from '../sql-database.js'
import { insertMany } from '../statements.js'

/** `StoreWriter.takeWebhookTurn`. */
export async function takeWebhookTurn(
  db: Database,
  { webhook, holder, leaseMs, position }: WebhookTurnRequest
): Promise<WebhookTurn | undefined> {
  return await db.write(async sql => {
    const { time, now, forUpdate, onConflict } = sql.dialect
    const unclaimed = [webhook, time(0)]
    const columns = ['webhook', 'leased_until_at']
    await insertMany(sql, 'turnstile_webhooks', columns, [unclaimed], onConflict(['webhook'], [], []))
    const [row] = await sql.all(
      `SELECT holder, leased_until_at, position, ${now} AS now_at FROM turnstile_webhooks WHERE webhook = ?${forUpdate}`,
      [webhook]
    )
    const nowAt = row!.now_at as EpochMs
    const isOwn = row!.holder === holder
    // What is delivered is noted by its holder alone: another one may have gone on from the place before.
    if (!isOwn && (position !== undefined || (row!.leased_until_at as EpochMs) > nowAt)) return undefined
    const reached = position ?? (row!.position as string | null)
    await sql.run(
      'UPDATE turnstile_webhooks SET holder = ?, leased_until_at = ?, position = ? WHERE webhook = ?',
      [holder, time(nowAt + leaseMs), reached, webhook]
    )
    return reached === null ? {} : { position: reached }
  })
}
