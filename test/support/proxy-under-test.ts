// Owns starting a proxy for a test, with what it observed and logged.
import Fastify from 'fastify'
import type { Test } from 'tap'
import { Routes } from '../../src/mcp/routes.js'
import { Operations } from '../../src/metrics/operations.js'
import { Traffic } from '../../src/metrics/traffic.js'
import type { UpstreamSettings } from '../../src/proxy/balancing/upstream.js'
import { Upstreams } from '../../src/proxy/balancing/upstreams.js'
import { startProxy, type Proxy, type ProxyOptions } from '../../src/proxy/proxy-server.js'
import type { Connection, ExchangeHandler } from '../../src/proxy/upstream/connection.js'
import { ClientCredentials } from '../../src/sessions/client-credentials.js'
import type { Observation, RequestOutcome } from '../../src/sessions/observations.js'
import { connectTo, serveRaw, type RawServer, type RawConnection } from './raw-http.js'

/** A started proxy, and what it has observed and logged since. */
export interface ProxyUnderTest {
  proxy: Proxy
  port: number
  /** All but those of `outcomes`. */
  observations: Observation[]
  outcomes: RequestOutcome[]
  logs: Record<string, unknown>[]
}

/** Options of the proxy, and of its only gateway. */
export type ProxyTestOptions = Partial<ProxyOptions & UpstreamSettings>

/** Starts a proxy in this process; it is closed at the end of the test. */
export async function startProxyTo(
  t: Test,
  upstream: URL,
  options: ProxyTestOptions = {}
): Promise<ProxyUnderTest> {
  const observations: Observation[] = []
  const outcomes: RequestOutcome[] = []
  const logs: Record<string, unknown>[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>) }
  const { logger = Fastify({ logger: { level: 'warn', stream } }).log } = options
  const upstreams = new Upstreams({
    upstreams: [{ name: upstream.host, url: upstream }],
    rewriteHost: options.rewriteHost ?? false,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    upstreamTimeoutMs: options.upstreamTimeoutMs ?? 30_000,
    upstreamKeepAliveMs: options.upstreamKeepAliveMs ?? 4_000,
    acknowledge: options.acknowledge,
    log: logger
  })
  t.teardown(() => upstreams.close())
  const proxy = await startProxy({
    routes: new Routes({ stream: '/stream/{endpoint_id}', sse: '/{endpoint_id}/sse', message: '/message' }),
    credentials: new ClientCredentials(),
    upstreams,
    upstreamOf: () => undefined,
    locateTask: () => Promise.resolve(undefined),
    locate: () => Promise.resolve(undefined),
    host: '127.0.0.1',
    port: 0,
    rewriteHost: false,
    upstreamTimeoutMs: 30_000,
    headTimeoutMs: 60_000,
    keepAliveTimeoutMs: 72_000,
    stallTimeoutMs: 60_000,
    sseKeepAliveMs: 0,
    streamIsUse: true,
    principals: 'plain',
    principalHeader: undefined,
    principalClaim: undefined,
    apiKeyHeader: 'x-api-key',
    conversationKey: [],
    allowedHost: undefined,
    allowedOrigin: undefined,
    maxConnections: 0,
    maxStreams: 0,
    maxRequests: 0,
    maxSessionsPerEndpoint: 0,
    liveSessions: () => 0,
    maxSessionsPerPrincipal: 0,
    whenFull: 'refuse',
    principalCounts: { stored: () => Promise.resolve(undefined), known: () => 0 },
    operations: new Operations(),
    traffic: new Traffic(),
    observe: observation => {
      if (observation.kind === 'outcome') outcomes.push(observation)
      else observations.push(observation)
    },
    logger,
    ...options
  })
  t.teardown(() => proxy.close(0))
  return { proxy, port: proxy.port, observations, outcomes, logs }
}

/** Starts an upstream that handles each connection with `script`; it is closed at the end of the test. */
export async function startUpstream(
  t: Test,
  script: (connection: RawConnection) => Promise<void> | void
): Promise<RawServer> {
  const upstream = await serveRaw(script)
  t.teardown(() => upstream.close())
  return upstream
}

/** A client with a request through the proxy under way, and the upstream's end, where the request has arrived. */
export async function startExchange(
  t: Test,
  { line = 'GET /stream/a HTTP/1.1', fields = [], options = {} }: Ask = {}
): Promise<ProxyUnderTest & { client: RawConnection; upstream: RawConnection }> {
  let arrived: (connection: RawConnection) => void
  const connected = new Promise<RawConnection>(resolve => (arrived = resolve))
  const server = await startUpstream(t, connection => arrived(connection))
  const proxy = await startProxyTo(t, server.url, options)
  const client = await connectTo(proxy.port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead(line, ...fields))
  const upstream = await connected
  await upstream.done()
  return { ...proxy, client, upstream }
}

interface Ask {
  line?: string
  fields?: string[]
  options?: ProxyTestOptions
}

/** A head from its lines, with `Host` as the second one. */
export function requestHead(startLine: string, ...fields: string[]): string {
  return [startLine, 'Host: gateway.example:8080', ...fields, '', ''].join('\r\n')
}

/** A response's head from its status and its fields. */
export function responseHead(startLine: string, ...fields: string[]): string {
  return [`HTTP/1.1 ${startLine}`, ...fields, '', ''].join('\r\n')
}

/** A whole exchange on a connection of the proxy's own. */
export function exchangeOn(connection: Connection): Promise<void> {
  const ignore = (): void => undefined
  return new Promise((resolve, reject) => {
    const handler: ExchangeHandler = {
      onInformation: ignore,
      onHead: ignore,
      onData: ignore,
      onReadEnd: ignore,
      onDrain: ignore,
      onEnd: () => resolve(),
      onError: reject
    }
    connection.send(
      { method: 'GET', head: requestHead('GET / HTTP/1.1'), body: null, complete: true, headMayWait: false },
      handler
    )
  })
}
