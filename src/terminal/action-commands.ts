// Owns the commands that act: end, drain, undrain.
import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Static } from 'typebox'
import type {
  DrainState,
  SessionsEnded,
  UpstreamDrainState,
  UpstreamInfo
} from '../admin/schemas/monitoring-responses.js'
import type { ConnectionCount } from '../admin/schemas/query-responses.js'
import { ConfigError } from '../config/read-settings.js'
import { boolean, duration } from '../config/setting-kinds.js'
import { monotonicNow } from '../util/time.js'
import { type AdminApi, AdminApiError } from './admin-api.js'
import { command } from './command.js'
import { Exit } from './exit-codes.js'
import { shown } from './shown-values.js'
import type { Output } from './terminal-output.js'
import { flag, narrowing } from './terminal-settings.js'

/** How often `drain --wait` asks. Chosen: as often as proxies tell the store what they have. */
const POLL_MS = 1_000

/** `mcp-turnstile end` */
export const end = command({
  summary: 'ends a session, or all of an endpoint or principal',
  usage: '[SESSION_ID]',
  operands: { least: 0, most: 1 },
  details: [
    'With SESSION_ID it ends that session; give --endpoint where several endpoints have one of this id. Without it, it ends all',
    'sessions of --endpoint, of --principal, or of both, and asks first, unless you give --yes. Exit code 1: one did not end.'
  ],
  settings: {
    endpoint: flag(narrowing.endpoint.kind, 'of this endpoint'),
    principal: flag(narrowing.principal.kind, 'of this principal'),
    yes: flag(boolean, 'do not ask')
  },
  async run({ api, output, flags, operands: [sessionId] }) {
    const { endpoint, principal, yes } = flags
    if (sessionId !== undefined) {
      if (principal !== undefined) throw unusable('give SESSION_ID or --principal, not both')
      const path = `/api/mcp/connections/${encodeURIComponent(sessionId)}`
      const ended = await api.ask(path, { endpointId: endpoint }, { method: 'DELETE' })
      output.result(ended, `${shown(sessionId)} is ended`)
      return Exit.ok
    }
    if (endpoint === undefined && principal === undefined)
      throw unusable('give SESSION_ID, --endpoint or --principal')
    if (!yes) {
      const query = { endpoint_id: endpoint, principal }
      const { connect_num } = await api.ask<ConnectionCount>('/api/connections/endpoint/count', query)
      const of = [endpoint && `endpoint ${endpoint}`, principal && `principal ${principal}`].filter(Boolean)
      if (!(await confirmed(`End all ${connect_num} sessions of ${shown(of.join(' and '))}?`))) return Exit.no
    }
    const outcome = await api.ask<Static<typeof SessionsEnded>>(
      '/api/mcp/connections',
      { endpointId: endpoint, principal },
      { method: 'DELETE' }
    )
    if (output.isJson) output.json(outcome)
    else {
      output.line(`${outcome.ended} sessions ended`)
      for (const { sessionId, message } of outcome.failed)
        output.note(`${shown(sessionId)} is still open: ${shown(message)}`)
    }
    return outcome.failed.length === 0 ? Exit.ok : Exit.no
  }
})

const drainedEndpoint = flag(narrowing.endpoint.kind, 'an endpoint of this proxy instead of a gateway')

/** `mcp-turnstile drain` */
export const drain = command({
  summary: 'sends no new sessions to a gateway, and with --wait returns once it is safe to stop',
  usage: '[NAME]',
  operands: { least: 0, most: 1 },
  details: [
    'NAME as `upstreams` lists it. With --wait: exit code 0 once no proxy has a session, stream or request there; exit code 1 after',
    '--timeout, or when somebody undrains it. As JSON: what the admin port says; with --wait the gateway as in `upstreams`.'
  ],
  settings: {
    endpoint: drainedEndpoint,
    wait: flag(boolean, 'return when it is safe to stop'),
    timeout: flag(duration, 'wait no longer, such as 10m; 0: for ever (default: 0)')
  },
  async run({ api, output, flags, operands: [name] }) {
    const { endpoint, wait, timeout = 0 } = flags
    if (wait && endpoint !== undefined)
      throw unusable('--wait is for gateways: only of those it is known when nobody uses them')
    const state = await switchDrain(api, name, endpoint, true)
    if (wait) return await waitUntilSafe(api, output, name!, timeout)
    output.result(state, `${shown(name ?? endpoint!)} gets no new sessions`)
    return Exit.ok
  }
})

/** `mcp-turnstile undrain` */
export const undrain = command({
  summary: 'sends new sessions to a gateway again',
  usage: '[NAME]',
  operands: { least: 0, most: 1 },
  details: ['NAME as `upstreams` lists it. As JSON: what the admin port says.'],
  settings: { endpoint: drainedEndpoint },
  async run({ api, output, flags, operands: [name] }) {
    const state = await switchDrain(api, name, flags.endpoint, false)
    output.result(state, `${shown(name ?? flags.endpoint!)} gets new sessions again`)
    return Exit.ok
  }
})

async function switchDrain(
  api: AdminApi,
  name: string | undefined,
  endpoint: string | undefined,
  on: boolean
): Promise<DrainState | Static<typeof UpstreamDrainState>> {
  if ((name === undefined) === (endpoint === undefined))
    throw unusable('give the NAME of a gateway, or --endpoint')
  const method = on ? 'PUT' : 'DELETE'
  return name === undefined
    ? await api.ask('/api/mcp/endpoints/drain', { endpointId: endpoint }, { method })
    : await api.ask(`/api/mcp/upstreams/${encodeURIComponent(name)}/drain`, {}, { method })
}

async function waitUntilSafe(
  api: AdminApi,
  output: Output,
  name: string,
  timeoutMs: number
): Promise<number> {
  const until = timeoutMs === 0 ? Infinity : monotonicNow() + timeoutMs
  const said = new Map<string, string>()
  const say = (about: string, text: string): void => {
    if (said.get(about) !== text) output.note(text)
    said.set(about, text)
  }
  for (;;) {
    const gateways = await gatewaysOf(api, say)
    const gateway = gateways?.find(known => known.name === name)
    if (gateways !== undefined && gateway === undefined)
      throw new AdminApiError(`there is no gateway ${JSON.stringify(name)} any more`, 404)
    if (gateway?.safeToStop) {
      output.result(gateway, `${shown(name)} is safe to stop`)
      return Exit.ok
    }
    if (gateway) {
      const { draining, url } = gateway
      if (!draining) {
        output.note(`${shown(name)} is not draining any more`)
        return Exit.no
      }
      // Those that have its URL under another name are the same program.
      const same = gateways!.filter(other => other === gateway || (url !== '' && other.url === url))
      for (const other of same) say(other.name, `${shown(other.name)} has ${underWay(other)}`)
    }
    if (monotonicNow() >= until) {
      output.note(`${shown(name)} is not safe to stop yet`)
      return Exit.no
    }
    await sleep(Math.min(POLL_MS, until - monotonicNow()))
  }
}

const underWay = ({ activeConnections, requestsInFlight, streams }: UpstreamInfo): string =>
  `${activeConnections} sessions, ${requestsInFlight} requests, ${streams} streams`

/** Undefined while the admin port is away, as it may be started again meanwhile. */
async function gatewaysOf(
  api: AdminApi,
  say: (about: string, text: string) => void
): Promise<UpstreamInfo[] | undefined> {
  try {
    return await api.ask<UpstreamInfo[]>('/api/mcp/upstreams')
  } catch (error) {
    if (!(error instanceof AdminApiError) || (error.status ?? 500) < 500) throw error
    say('', error.message)
    return undefined
  }
}

/** Asks on the terminal. Throws `ConfigError` where there is none. */
async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw unusable('give --yes: there is no terminal to ask at')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test(await terminal.question(`${question} [y/N] `))
  } finally {
    terminal.close()
  }
}

const unusable = (message: string): ConfigError => new ConfigError('UNEXPECTED_ARGUMENT', message)
