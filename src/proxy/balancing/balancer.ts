// Owns which gateway gets a request: the one that has its session, or the one for new work.
import { decodedValue } from '../../mcp/header-values.js'
import { isSessionless } from '../../mcp/revisions.js'
import type { StoredId, WireId } from '../../mcp/stored-ids.js'
import { Transport } from '../../mcp/transports.js'
import { startOfBody } from '../http/body-start.js'
import { sessionIdIn, text } from '../http/headers.js'
import { RefusedRequest } from '../http/proxy-errors.js'
import type { RoutedRequest } from '../http/routed-request.js'
import { type NamedTask, TaskIdReader, TaskOwners } from './tasks.js'
import type { Upstream } from './upstream.js'
import type { Upstreams } from './upstreams.js'

/** The session that a request names. */
export interface NamedSession {
  /** What the URL of a legacy message says of it need not be true, or is not there. */
  endpointId: WireId | StoredId | undefined
  sessionId: WireId | StoredId
  transport: typeof Transport.sse | typeof Transport.streamable
}

/**
 * What a client sends first in a session, of either transport: servers of rmcp 0.x end a session whose first message is
 * another one.
 */
const HANDSHAKE = /"method"\s*:\s*"(?:initialize|notifications\\?\/initialized)"/

/** What `Balancer` needs. */
export interface BalancerOptions {
  upstreams: Upstreams
  /** The gateway of a session, if this process knows it. */
  upstreamOf: (session: NamedSession) => string | undefined
  /**
   * Finds the gateway of a session that this process does not know; undefined: none has it. `isBeginning`: the client may not
   * have sent anything in it yet.
   */
  locate: (session: NamedSession, request: RoutedRequest, isBeginning: boolean) => Promise<string | undefined>
  /** The same of a task. */
  locateTask: (task: NamedTask, request: RoutedRequest) => Promise<string | undefined>
}

/** Says which gateway gets a request. With one gateway it costs nothing. */
export class Balancer {
  readonly #options: BalancerOptions
  readonly #upstreams: Upstreams
  readonly #taskOwners = new TaskOwners()

  constructor(options: BalancerOptions) {
    this.#options = options
    this.#upstreams = options.upstreams
  }

  /** There is nothing to decide. */
  get isSole(): boolean {
    return this.#upstreams.only !== undefined
  }

  /** The gateway for a request. Throws, or rejects with, `RefusedRequest` where none may have it. */
  upstreamFor(request: RoutedRequest): Upstream | Promise<Upstream> {
    const { only } = this.#upstreams
    if (only !== undefined) return only
    const session = sessionOf(request)
    if (session === undefined) {
      const task = taskOf(request)
      return task === undefined ? this.#forNewWork(request) : this.#forTask(task, request)
    }
    const name = this.#options.upstreamOf(session)
    const known = name === undefined ? undefined : this.#upstreams.get(name)
    if (known !== undefined) return known
    return isSessionless(text(request.req.headers['mcp-protocol-version']))
      ? this.#forNewWork(request)
      : this.#located(session, request)
  }

  /** Whether a request that was not sent may go to another gateway. */
  mayMove(request: RoutedRequest): boolean {
    return !this.isSole && sessionOf(request) === undefined && taskOf(request) === undefined
  }

  /** Reads the id of the task that the response of this gateway creates, if it may create one (with several gateways only). */
  taskReader(request: RoutedRequest, upstream: Upstream): ((part: Buffer) => void) | undefined {
    const { headers } = request.req
    const { route } = request.target
    // Within a session it is the session that is followed.
    const mayCreate = route?.kind === 'streamable' && text(headers['mcp-method']) === 'tools/call'
    if (this.isSole || !mayCreate || sessionOf(request) !== undefined) return undefined
    const reader = new TaskIdReader()
    return part => {
      const taskId = reader.feed(part)
      if (taskId !== undefined) this.#taskOwners.note({ endpointId: route.endpointId, taskId }, upstream.name)
    }
  }

  /** The gateway for a request that these did not take; undefined: there is no other. */
  next(request: RoutedRequest, refusedBy: ReadonlySet<string>): Upstream | undefined {
    return this.#upstreams.choose(workOf(request), refusedBy)
  }

  #forTask(task: NamedTask, request: RoutedRequest): Upstream | Promise<Upstream> {
    const name = this.#taskOwners.of(task)
    const known = name === undefined ? undefined : this.#upstreams.get(name)
    return known ?? this.#locatedTask(task, request)
  }

  async #locatedTask(task: NamedTask, request: RoutedRequest): Promise<Upstream> {
    const name = await this.#options.locateTask(task, request)
    const found = name === undefined ? undefined : this.#upstreams.get(name)
    if (found === undefined) return this.#forNewWork(request)
    this.#taskOwners.note(task, found.name)
    return found
  }

  async #located(session: NamedSession, request: RoutedRequest): Promise<Upstream> {
    const name = await this.#options.locate(session, request, await mayBegin(request))
    const found = name === undefined ? undefined : this.#upstreams.get(name)
    // A session that no gateway has: whichever gets its request says so to the client.
    return found ?? this.#upstreams.choose('request') ?? this.#anyOrRefuse()
  }

  #forNewWork(request: RoutedRequest): Upstream {
    const upstream = this.#upstreams.choose(workOf(request))
    if (upstream === undefined)
      throw new RefusedRequest(
        'No gateway takes new work: there is none, or all are drained',
        503,
        'draining'
      )
    return upstream
  }

  #anyOrRefuse(): Upstream {
    const [any] = this.#upstreams.all
    if (any === undefined)
      throw new RefusedRequest('No gateway takes new work: there is none', 503, 'draining')
    return any
  }
}

/** Whether the client may not have sent a message in its session yet; some ask for its stream before the first one. */
const mayBegin = async ({ req }: RoutedRequest): Promise<boolean> =>
  req.method === 'GET' || (req.method === 'POST' && HANDSHAKE.test(await startOfBody(req)))

const workOf = (request: RoutedRequest): 'session' | 'request' =>
  request.opensSessionOn === undefined ? 'request' : 'session'

/** The task that a request without a session asks about (SEP-2663, "Routing Headers"). */
function taskOf({ req, target: { route } }: RoutedRequest): NamedTask | undefined {
  if (route?.kind !== 'streamable' || text(req.headers['mcp-method'])?.startsWith('tasks/') !== true)
    return undefined
  const name = text(req.headers['mcp-name'])
  return name === undefined ? undefined : { endpointId: route.endpointId, taskId: decodedValue(name) }
}

function sessionOf({ req, target: { route } }: RoutedRequest): NamedSession | undefined {
  if (route?.kind === 'message')
    return { endpointId: route.endpointId, sessionId: route.sessionId, transport: Transport.sse }
  const sessionId = route?.kind === 'streamable' ? sessionIdIn(req) : undefined
  return sessionId === undefined
    ? undefined
    : { endpointId: route!.endpointId, sessionId, transport: Transport.streamable }
}
