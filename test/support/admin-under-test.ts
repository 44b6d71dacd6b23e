// Owns what the tests of admin/ share: rows, a clock that stands still, and an admin port on them.
import { Writable } from 'node:stream'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import { Mask } from '../../src/admin/access/mask.js'
import { type AdminOptions, buildAdmin } from '../../src/admin/admin-server.js'
import { GatewayClient } from '../../src/admin/gateway/gateway-client.js'
import type { Control } from '../../src/admin/operator-port.js'
import type { UncountedPath } from '../../src/admin/schemas/monitoring-responses.js'
import type { Readiness } from '../../src/admin/schemas/readiness.js'
import type { Erasure, SessionRow } from '../../src/ledger/store-port.js'
import { MemoryStore } from './memory-store.js'
import type { Random } from './random.js'

/** What the admin port takes for now. */
export const NOW = Date.UTC(2026, 10, 21, 12, 0, 30)
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const CONNECTIONS = '/api/connections/endpoint'
export const COUNT = '/api/connections/endpoint/count'
export const SERIES = '/api/connections/time-series'

let lastId = 0

/** An open session, but for what is given; closed by `delete` once `disconnectAt` is. */
export function session(given: Partial<SessionRow> = {}): SessionRow {
  const id = given.id ?? ++lastId
  const connectAt = given.connectAt ?? NOW - HOUR
  return {
    id,
    endpointId: 'files',
    sessionId: `session-${id}`,
    transport: 2,
    connectAt,
    disconnectAt: connectAt,
    reason: given.disconnectAt === undefined ? null : 'delete',
    lastSeenAt: connectAt,
    requestCount: 1,
    bytesIn: 0,
    bytesOut: 0,
    callCount: 0,
    errorCount: 0,
    unreadCount: 0,
    seenBy: null,
    upstream: null,
    clientAddress: '192.0.2.7',
    userAgent: null,
    clientName: null,
    clientVersion: null,
    protocolVersion: null,
    principal: null,
    principalKind: null,
    oauthClient: null,
    conversation: null,
    ...given
  }
}

/** A history of two days before NOW; many rows share a millisecond. */
export function randomSessions(random: Random, count: number, endpoints: readonly string[]): SessionRow[] {
  return Array.from({ length: count }, (_, i) => {
    const connectAt = NOW - random.int(0, (2 * DAY) / 1_000) * 1_000
    const closed = random.chance(0.8) && {
      disconnectAt: connectAt + random.int(1, random.pick([MINUTE, HOUR, DAY]))
    }
    const transport = random.pick([1, 2, 3] as const)
    return session({ id: i + 1, endpointId: random.pick(endpoints), transport, connectAt, ...closed })
  })
}

/** What `/readyz` tells of a ledger that keeps up. */
export const READY: Readiness = {
  ready: true,
  outbox: { ok: true, depth: 0, oldestAt: null, sizeBytes: 4096, lostEvents: 0 },
  store: { ok: true, failingSince: null }
}

export type Query = Record<string, string | number>

export function urlOf(path: string, query: Query): string {
  const text = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, `${value}`])
  )
  return text.size > 0 ? `${path}?${text.toString()}` : path
}

export interface TestAdmin {
  app: FastifyInstance
  get: (path: string, query?: Query) => Promise<LightMyRequestResponse>
  /** The answer to a query that must succeed. */
  ask: <T>(path: string, query?: Query) => Promise<T>
}

export function startAdmin(t: Test, options: Partial<AdminOptions> = {}): TestAdmin {
  const app = buildAdmin({
    store: new MemoryStore(),
    health: () => READY,
    metrics: () => Promise.resolve([]),
    tokens: [],
    allowedOrigins: [],
    mask: new Mask(Buffer.from('key'), false),
    monitoring: undefined,
    version: '1.2.3',
    eventRetentionMs: DAY,
    logger: pino({ level: 'silent' }, new Writable({ write: (_chunk, _encoding, done) => done() })),
    now: () => NOW,
    ...options
  })
  t.teardown(() => app.close())
  const get = (path: string, query: Query = {}) => app.inject(urlOf(path, query))
  return {
    app,
    get,
    async ask<T>(path: string, query?: Query) {
      const response = await get(path, query)
      t.equal(
        response.statusCode,
        200,
        `${path} ${JSON.stringify(query ?? {})} succeeds: ${response.body.slice(0, 200)}`
      )
      return response.json<T>()
    }
  }
}

/** What operators had done, as words. */
export class FakeControl implements Control {
  readonly done: string[] = []
  readonly #draining = new Set<string>()

  end({ endpointId, sessionId }: { endpointId: string; sessionId: string }): Promise<void> {
    this.done.push(`end ${endpointId} ${sessionId}`)
    return Promise.resolve()
  }

  settled(): Promise<void> {
    return Promise.resolve()
  }

  deleteEndpoint(endpointId: string): Promise<'deleted'> {
    this.done.push(`delete ${endpointId}`)
    return Promise.resolve('deleted')
  }

  drain(endpointId: string, on: boolean): void {
    this.done.push(`${on ? 'drain' : 'undrain'} ${endpointId}`)
    if (on) this.#draining.add(endpointId)
    else this.#draining.delete(endpointId)
  }

  draining(): ReadonlySet<string> {
    return this.#draining
  }

  drainUpstream(name: string, on: boolean): Promise<void> {
    this.done.push(`${on ? 'drain' : 'undrain'} upstream ${name}`)
    return Promise.resolve()
  }

  erasePrincipal(principal: string): Promise<Erasure> {
    this.done.push(`erase ${principal}`)
    return Promise.resolve({ token: 'erased-1', sessions: 2 })
  }

  reportUpstreams(): Promise<void> {
    return Promise.resolve()
  }
}

/** With live monitoring, in front of a gateway that does not answer unless one is given. */
export function startMonitoring(
  t: Test,
  { gatewayUrl = 'http://127.0.0.1:9', paths, uncounted = [], ...options }: MonitoringTestOptions = {}
): TestAdmin & { control: FakeControl } {
  const control = new FakeControl()
  const urlsOf = (endpointId: string) => ({
    streamable: [new URL(paths?.streamable ?? `/stream/${endpointId}`, gatewayUrl)],
    sse: [new URL(paths?.sse ?? `/${endpointId}/sse`, gatewayUrl)]
  })
  const monitoring = {
    control,
    gateway: new GatewayClient(
      () => Promise.resolve([new URL(gatewayUrl)]),
      (_gateway, endpointId) => urlsOf(endpointId)
    ),
    keepsUp: () => true,
    uncounted: () => uncounted,
    historyLimit: 2,
    settings: { mask: false },
    endpointUrl: (endpointId = '{endpoint_id}') => `http://proxy/stream/${endpointId}`
  }
  return { ...startAdmin(t, { monitoring, ...options }), control }
}

interface MonitoringTestOptions extends Partial<AdminOptions> {
  gatewayUrl?: string
  paths?: { streamable: string; sse: string }
  uncounted?: UncountedPath[]
}

/** The URL in the Link header of an answer that has a next page. */
export const nextPage = (response: LightMyRequestResponse): string | undefined =>
  /^<(.*)>; rel="next"$/.exec(String(response.headers.link ?? ''))?.[1]
