// Owns a made-up history: sessions in the order in which they began, of realistic lengths and hours, some still open.
import type { SessionRecord } from '../../../src/ledger/model/merge.js'
import { Transport } from '../../../src/mcp/transports.js'
import type { CloseReason, FinalReason } from '../../../src/sessions/events.js'
import { DAY_MS, MINUTE_MS } from '../../../src/util/time.js'
import type { Random } from '../../support/random.js'

const HOUR_MS = 60 * MINUTE_MS

export interface HistoryOptions {
  endedSessions: number
  openSessions: number
  /** How many different principals there are, at most 65,536. */
  principals: number
  endpoints: number
  days: number
  /** Epoch ms of the last instant told. */
  endAt: number
}

interface Kind {
  share: number
  fromMs: number
  toMs: number
}

/** How long sessions last: seconds, minutes, hours and, few, days; 2.3 hours in the mean. */
const lengths: readonly Kind[] = [
  { share: 0.45, fromMs: 100, toMs: MINUTE_MS },
  { share: 0.38, fromMs: MINUTE_MS, toMs: HOUR_MS },
  { share: 0.15, fromMs: HOUR_MS, toMs: 12 * HOUR_MS },
  { share: 0.02, fromMs: DAY_MS, toMs: 7 * DAY_MS }
]
const OLDEST_OPEN_MS = 5 * DAY_MS
/** Endpoint k of n gets a share in proportion to k^-0.8: of 1,000 the first gets 6.5 %, the last 0.03 %. */
const SKEW = 0.8
/** The busiest hour sees four times as many sessions begin as the quietest. */
const DAILY_SWING = 0.6

const programs = [
  ['claude-code/2.1.14 (cli)', 'claude-code', '2.1.14', '2025-11-25'],
  ['python-httpx/0.28.1', 'mcp', '0.1.0', '2025-06-18'],
  ['node', 'mcp-remote-client', '1.32.2', '2025-11-25'],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Cursor/2.3.1', 'cursor-vscode', '1.0.0', '2025-06-18']
] as const

export class History {
  readonly options: HistoryOptions
  readonly startAt: number
  /** Sorted. */
  readonly endpointIds: readonly string[]
  readonly #random: Random
  readonly #busiestFirst: readonly string[]
  readonly #shares: Float64Array
  readonly #proxyId: string

  constructor(random: Random, options: HistoryOptions) {
    this.options = options
    this.#random = random
    this.startAt = options.endAt - options.days * DAY_MS
    this.#proxyId = this.#uuid()
    this.#busiestFirst = Array.from({ length: options.endpoints }, () => this.#uuid())
    this.endpointIds = [...this.#busiestFirst].sort()
    this.#shares = cumulative(this.#busiestFirst.map((_, k) => (k + 1) ** -SKEW))
  }

  /** All sessions, in the order in which they began. */
  *sessions(): Generator<SessionRecord> {
    const { endAt, endedSessions, openSessions, days } = this.options
    const open = Array.from({ length: openSessions }, () => endAt - this.#logUniform(1_000, OLDEST_OPEN_MS))
    open.sort((a, b) => b - a)
    const minutes = days * (DAY_MS / MINUTE_MS)
    const begun = cumulative(Array.from({ length: minutes }, (_, m) => this.#busyness(m)))
    let told = 0
    for (let m = 0; m < minutes; m++) {
      const minuteAt = this.startAt + m * MINUTE_MS
      const until = m === minutes - 1 ? endedSessions : Math.round(begun[m]! * endedSessions)
      const starts = Array.from({ length: until - told }, () => ({
        at: minuteAt + this.#random.int(0, MINUTE_MS - 2),
        isOpen: false
      }))
      while (open.length > 0 && open.at(-1)! < minuteAt + MINUTE_MS)
        starts.push({ at: open.pop()!, isOpen: true })
      told = until
      starts.sort((a, b) => a.at - b.at)
      for (const { at, isOpen } of starts) yield this.#session(at, isOpen)
    }
  }

  #session(connectAt: number, isOpen: boolean): SessionRecord {
    const random = this.#random
    const [userAgent, clientName, clientVersion, protocolVersion] = random.pick(programs)
    const transport = random.chance(0.15)
      ? Transport.sse
      : random.chance(0.85)
        ? Transport.streamable
        : Transport.sessionless
    const disconnectAt = isOpen ? connectAt : this.#end(connectAt)
    const reason = isOpen ? null : this.#reason(transport)
    const closedBy = reason === 'idle' || reason === 'lost' ? null : reason
    const isHeld = transport === Transport.sse
    const sessionId = this.#uuid()
    // One session in four has no principal, one in two no conversation; of a conversation there are some five sessions.
    const person = Number.parseInt(sessionId.slice(0, 4), 16) % this.options.principals
    const isNamed = !/^[0-3]/.test(sessionId.slice(4))
    const isGrouped = /^[0-7]/.test(sessionId.slice(5))
    return {
      endpointId: this.#busiestFirst[pickBy(this.#shares, random.next())]!,
      sessionId,
      transport,
      connectAt,
      disconnectAt,
      reason,
      lastSeenAt: isOpen ? random.int(connectAt, this.options.endAt) : random.int(connectAt, disconnectAt),
      requestCount: random.int(1, 60),
      bytesIn: 0,
      bytesOut: 0,
      callCount: 0,
      errorCount: 0,
      unreadCount: 0,
      seenBy: null,
      upstream: null,
      clientAddress: `10.${random.int(0, 255)}.${random.int(0, 255)}.${random.int(1, 254)}`,
      userAgent,
      clientName,
      clientVersion,
      protocolVersion,
      closedAt: closedBy === null ? null : disconnectAt,
      closedBy,
      provedAt: null,
      goneAt: [],
      holder: isHeld ? this.#proxyId : null,
      holderBoot: isHeld ? 1 : null,
      principal: isNamed ? `https://id.example.com#user-${person}` : null,
      principalKind: isNamed ? 'oauth' : null,
      oauthClient: isNamed ? clientName : null,
      principalAt: isNamed ? connectAt : null,
      isShared: false,
      conversation: isGrouped ? `v1/${person}-${Math.floor(connectAt / DAY_MS)}` : null,
      conversationAt: isGrouped ? connectAt : null
    }
  }

  #end(connectAt: number): number {
    const { fromMs, toMs } = this.#random.pick(lengthTable)
    const end = connectAt + Math.ceil(this.#logUniform(fromMs, toMs))
    return end <= this.options.endAt ? end : this.#random.int(connectAt + 1, this.options.endAt)
  }

  #reason(transport: Transport): CloseReason {
    if (transport === Transport.sessionless) return 'idle'
    const usual: readonly FinalReason[] =
      transport === Transport.sse ? ['stream_end'] : ['delete', 'delete', 'gone']
    if (this.#random.chance(transport === Transport.sse ? 0.05 : 0.4))
      return transport === Transport.sse ? 'lost' : 'idle'
    return this.#random.pick(usual)
  }

  /** How many sessions begin in a minute, relative to others. */
  #busyness(minute: number): number {
    const hour = new Date(this.startAt + minute * MINUTE_MS).getUTCHours()
    return 1 + DAILY_SWING * Math.sin(((hour - 8) / 12) * Math.PI)
  }

  #logUniform(from: number, to: number): number {
    return Math.round(from * (to / from) ** this.#random.next())
  }

  #uuid(): string {
    const word = (): string =>
      Math.floor(this.#random.next() * 2 ** 32)
        .toString(16)
        .padStart(8, '0')
    const [a, b, c, d] = [word(), word(), word(), word()]
    return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-a${c.slice(1, 4)}-${c.slice(4)}${d}`
  }
}

/** Each kind as often as its share in per cent. */
const lengthTable = lengths.flatMap(kind => Array<Kind>(Math.round(kind.share * 100)).fill(kind))

/** Running sums, scaled so that the last is 1. */
function cumulative(weights: readonly number[]): Float64Array {
  const sums = new Float64Array(weights.length)
  let sum = 0
  weights.forEach((weight, i) => (sums[i] = sum += weight))
  return sums.map(value => value / sum)
}

/** The first index whose running sum exceeds `at`. */
export function pickBy(sums: Float64Array, at: number): number {
  let from = 0
  let to = sums.length - 1
  while (from < to) {
    const middle = (from + to) >> 1
    if (sums[middle]! > at) to = middle
    else from = middle + 1
  }
  return from
}
