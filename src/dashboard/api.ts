// Owns asking the admin port: the token, errors, pages, and the forms of what it answers.

export type TransportName = 'sse' | 'streamable' | 'sessionless'

export interface ConnectionInfo {
  sessionId: string
  clientIP: string
  userAgent: string
  connectedAt: string
  lastActivity: string
  requestCount: number
  endpointId: string
  transport: TransportName
  clientName: string | null
  clientVersion: string | null
  protocolVersion: string | null
}

export interface ConnectionStats {
  activeConnections: number
  totalConnections: number
  connections: ConnectionInfo[]
}

/** A row of `/api/connections/endpoint`. */
export interface ConnectionRow {
  endpoint_id: string
  session_id: string
  transport_type: number
  connect_at: string
  disconnect_at: string
  reason: string | null
  last_seen_at: string
  request_count: number
  client_address: string
  user_agent: string | null
  client_name: string | null
  client_version: string | null
  protocol_version: string | null
}

/** A point of `/api/connections/time-series`. */
export interface MinutePoint {
  time: string
  endpoint_id: string
  connect_num: number
  opened: number
  closed: number
  peak: number | null
}

export interface EndpointInfo {
  endpointId: string
  activeConnections: number
  draining: boolean
}

export interface GatewayHealth {
  serverRunning: boolean
  endpoint: string
}

export interface Readiness {
  outbox: { ok: boolean; depth: number; oldestAt: string | null; lostEvents: number }
  store: { ok: boolean; failingSince: string | null }
  closing: boolean
}

export interface ProxyInfo {
  id: string
  lastHeartbeat: string
  lost: boolean
}

/** What the admin port said instead of an answer; its message tells what to do. */
export class ApiError extends Error {
  readonly code = 'REFUSED'

  constructor(
    readonly status: number,
    message: string
  ) {
    super(message)
  }
}

export interface Page<Answer> {
  answer: Answer
  /** The path of the next one, if there is one. */
  next: string | undefined
}

type Parameters = Record<string, string | number | undefined>

export class Api {
  readonly #onUnauthorized: (error: ApiError) => void
  token: string | undefined

  constructor(onUnauthorized: (error: ApiError) => void) {
    this.#onUnauthorized = onUnauthorized
  }

  async get<Answer>(path: string, parameters: Parameters = {}): Promise<Answer> {
    return (await this.page<Answer>(path, parameters)).answer
  }

  async page<Answer>(path: string, parameters: Parameters = {}): Promise<Page<Answer>> {
    const response = await this.#ask('GET', path, parameters)
    const next = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    return { answer: (await response.json()) as Answer, next }
  }

  async delete(path: string, parameters: Parameters = {}): Promise<void> {
    await this.#ask('DELETE', path, parameters)
  }

  /** An answer whether it is ready or not. */
  async readiness(): Promise<Readiness> {
    return (await (await fetch('/readyz')).json()) as Readiness
  }

  async #ask(method: string, path: string, parameters: Parameters): Promise<Response> {
    const url = new URL(path, location.origin)
    for (const [name, value] of Object.entries(parameters))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const headers: HeadersInit = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
    const response = await fetch(url, { method, headers })
    if (response.ok) return response
    const body = (await response.json().catch(() => ({}))) as { message?: string; error?: string }
    const error = new ApiError(response.status, body.message ?? body.error ?? `it answers ${response.status}`)
    if (response.status === 401 || response.status === 429) this.#onUnauthorized(error)
    throw error
  }
}
