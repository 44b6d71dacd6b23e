// Owns a receiver of webhooks: it verifies each request with the library of Standard Webhooks, and accepts what the test lets it.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import type { SessionCloudEvent } from '../../src/admin/schemas/event-responses.js'

/** 24 bytes. */
export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

export interface Received {
  event: SessionCloudEvent
  headers: IncomingHttpHeaders
  body: string
  /** The status that it got. */
  status: number
}

export class WebhookReceiver {
  /** Every request, those that were refused too. */
  readonly requests: Received[] = []
  /** Why requests could not be verified. */
  readonly forged: string[] = []
  /** The status of the next response. */
  answer: (event: SessionCloudEvent) => number = () => 204
  readonly #server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.once('end', () => {
      const body = Buffer.concat(parts).toString()
      try {
        new Webhook(SECRET).verify(body, request.headers as Record<string, string>)
      } catch (error) {
        this.forged.push(String(error))
      }
      const event = JSON.parse(body) as SessionCloudEvent
      const status = this.answer(event)
      this.requests.push({ event, headers: request.headers, body, status })
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end()
    })
  })

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver()
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook?key=1`
  }

  /** Those that it accepted. */
  get accepted(): SessionCloudEvent[] {
    return this.requests.filter(({ status }) => status < 300).map(({ event }) => event)
  }

  /** Resolves once so many different events were accepted. */
  async events(count: number): Promise<void> {
    while (new Set(this.accepted.map(({ id }) => id)).size < count) await sleep(20)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

/** The ids of the events of each endpoint, each at its first acceptance. */
export function inOrder(events: readonly SessionCloudEvent[]): Record<string, string[]> {
  const byEndpoint: Record<string, string[]> = {}
  for (const { id, data } of events) {
    const ids = (byEndpoint[data.endpointId] ??= [])
    if (!ids.includes(id)) ids.push(id)
  }
  return byEndpoint
}
