// Owns one request to a webhook: signed after Standard Webhooks 1.0, with a limit of time, and no redirect is followed.
import { Webhook } from 'standardwebhooks'
import { SECOND_MS } from '../../util/time.js'
import type { SessionCloudEvent } from '../schemas/event-responses.js'

/** How long a receiver may take. Standard Webhooks, "Deliverability and reliability": 15 to 30 s. */
const TIMEOUT_MS = 15 * SECOND_MS

/** A receiver, and the secret that it knows. */
export interface WebhookTarget {
  url: string
  /** `whsec_` and base64. */
  secret: string
}

/**
 * Sends an event. Resolves once the receiver has accepted it; throws an error that says why it did not, and when `cut` aborts.
 * Each attempt has the same `webhook-id`: that of the event.
 */
export async function sendToWebhook(
  { url, secret }: WebhookTarget,
  event: SessionCloudEvent,
  cut: AbortSignal
): Promise<void> {
  const body = JSON.stringify(event)
  const at = new Date()
  const ended = new AbortController()
  const end = (): void => ended.abort(new Error('it did not respond in time'))
  const timer = setTimeout(end, TIMEOUT_MS)
  cut.addEventListener('abort', end)
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/cloudevents+json; charset=utf-8',
        'user-agent': 'mcp-turnstile',
        'webhook-id': event.id,
        'webhook-timestamp': String(Math.floor(at.getTime() / SECOND_MS)),
        'webhook-signature': new Webhook(secret).sign(event.id, at, body)
      },
      body,
      signal: ended.signal
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`it responded with ${response.status}`)
  } finally {
    clearTimeout(timer)
    cut.removeEventListener('abort', end)
  }
}
