// Owns `mcp-turnstile top`: a screen of sessions that is drawn again and again, and the keys that change what it shows.
import { emitKeypressEvents, type Key } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionStats, UpstreamInfo } from '../admin/schemas/monitoring-responses.js'
import { duration, oneOf } from '../config/setting-kinds.js'
import { reasonOf } from '../util/errors.js'
import { type AdminApi, AdminApiError } from './admin-api.js'
import { command } from './command.js'
import { Exit } from './exit-codes.js'
import type { Output } from './terminal-output.js'
import { anyText, flag, narrowing } from './terminal-settings.js'
import {
  type Figures,
  type Group,
  GROUPS,
  rowCount,
  type Sort,
  SORTS,
  topLines,
  type View
} from './top-screen.js'

/** Chosen: people see a change soon, and a list of 10,000 sessions costs the admin port some 50 ms. */
const INTERVAL_MS = 2_000
const MIN_INTERVAL_MS = 200
/** The most sessions that are asked for at once: as many as the admin port gives. */
const MAX_ROWS = 10_000

const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l'
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE_END = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'

const sorts = Object.keys(SORTS) as Sort[]
const groups = Object.keys(GROUPS) as Group[]
const nextOf = <T>(list: readonly T[], current: T): T => list[(list.indexOf(current) + 1) % list.length]!

/** `mcp-turnstile top` */
export const top = command({
  summary:
    'the sessions live, on a screen that is drawn again every 2 s; printed once where there is no terminal',
  usage: '',
  operands: { least: 0, most: 0 },
  details: [
    'Keys: q quit, s next order, r reverse, g group by endpoint, principal, client or gateway, / filter (Enter keeps it, Esc',
    'removes it), p pause, arrows, Page Up and Page Down scroll. As JSON: once, as /api/mcp/connections.'
  ],
  settings: {
    ...narrowing,
    interval: flag(duration, 'time from one drawing to the next (default: 2s)'),
    sort: flag(oneOf('ORDER', ...sorts), `one of ${sorts.join(', ')} (default: newest)`),
    group: flag(oneOf('BY', ...groups), `one of ${groups.join(', ')} (default: none)`),
    filter: flag(anyText('TEXT'), 'only sessions with this text in any column')
  },
  async run({ api, output, flags }) {
    const { endpoint, upstream, principal, conversation, interval = INTERVAL_MS } = flags
    const query = { endpointId: endpoint, upstream, principal, conversation, limit: MAX_ROWS }
    const view: View = {
      sort: flags.sort ?? 'newest',
      group: flags.group ?? 'none',
      filter: flags.filter ?? '',
      ...{ isReversed: false, isTyping: false, isPaused: false, offset: 0 }
    }
    const read = (signal?: AbortSignal): Promise<Figures> => figuresOf(api, query, signal)
    if (output.isJson) output.json((await read()).stats)
    else if (output.size === undefined || !process.stdin.isTTY) {
      const size = { columns: Infinity, rows: Infinity }
      for (const line of topLines(view, await read(), undefined, size, Date.now()).slice(0, -1))
        output.line(output.row(line))
    } else await new Screen(output, view, read).run(Math.max(interval, MIN_INTERVAL_MS))
    return Exit.ok
  }
})

async function figuresOf(
  api: AdminApi,
  query: Record<string, string | number | undefined>,
  signal?: AbortSignal
): Promise<Figures> {
  const options = signal ? { signal } : {}
  const [stats, upstreams] = await Promise.all([
    api.ask<ConnectionStats>('/api/mcp/connections', query, options),
    api.ask<UpstreamInfo[]>('/api/mcp/upstreams', {}, options)
  ])
  return { stats, upstreams }
}

/** The screen while it is there. */
class Screen {
  readonly #output: Output
  readonly #view: View
  readonly #read: (signal: AbortSignal) => Promise<Figures>
  readonly #quitting = new AbortController()
  #figures: Figures | undefined
  #failure: string | undefined

  constructor(output: Output, view: View, read: (signal: AbortSignal) => Promise<Figures>) {
    this.#output = output
    this.#view = view
    this.#read = read
  }

  /** Until somebody quits. Throws where the admin port refuses the first question. */
  async run(intervalMs: number): Promise<void> {
    const { signal } = this.#quitting
    this.#figures = await this.#read(signal)
    const { stdin, stdout } = process
    emitKeypressEvents(stdin)
    stdin.setRawMode(true)
    stdin.on('keypress', (text: string | undefined, key: Key) => this.#onKey(text, key))
    stdout.on('resize', () => this.#draw())
    this.#output.raw(ENTER_SCREEN)
    // However the process ends, the terminal is left as it was.
    process.once('exit', () => this.#output.raw(LEAVE_SCREEN))
    for (const ending of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
      process.once(ending, () => process.exit(Exit.ok))
    while (!signal.aborted) {
      this.#draw()
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined)
      if (!this.#view.isPaused) await this.#refresh(signal)
    }
    stdin.setRawMode(false)
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    try {
      this.#figures = await this.#read(signal)
      this.#failure = undefined
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof AdminApiError)) throw error
      this.#failure = `${reasonOf(error)}; these figures are of ${this.#figures?.stats.lastUpdated ?? 'never'}`
    }
  }

  #draw(): void {
    const { size } = this.#output
    if (size === undefined) return
    const lines = topLines(this.#view, this.#figures, this.#failure, size, Date.now())
    const text = lines.map(line => this.#output.row(line) + CLEAR_LINE_END).join('\n')
    this.#output.raw(HOME + text + CLEAR_BELOW)
  }

  #onKey(text: string | undefined, key: Key): void {
    const view = this.#view
    if (key.ctrl && key.name === 'c') return this.#quitting.abort()
    if (view.isTyping) this.#type(text, key)
    else if (key.name === 'q') return this.#quitting.abort()
    else if (text === 's') view.sort = nextOf(sorts, view.sort)
    else if (text === 'r') view.isReversed = !view.isReversed
    else if (text === 'g') view.group = nextOf(groups, view.group)
    else if (text === 'p') view.isPaused = !view.isPaused
    else if (text === '/') view.isTyping = true
    else if (key.name === 'escape') view.filter = ''
    this.#scroll(key.name)
    this.#draw()
  }

  #type(text: string | undefined, key: Key): void {
    const view = this.#view
    if (key.name === 'return' || key.name === 'enter') view.isTyping = false
    else if (key.name === 'escape') [view.filter, view.isTyping] = ['', false]
    else if (key.name === 'backspace') view.filter = Array.from(view.filter).slice(0, -1).join('')
    else if (text !== undefined && !key.ctrl && !key.meta && !/\p{Cc}/u.test(text)) view.filter += text
    view.offset = 0
  }

  #scroll(key: string | undefined): void {
    const view = this.#view
    const page = Math.max((this.#output.size?.rows ?? 0) - 6, 1)
    const by =
      { up: -1, down: 1, pageup: -page, pagedown: page, home: -Infinity, end: Infinity }[key ?? ''] ?? 0
    const last = this.#figures ? Math.max(rowCount(view, this.#figures) - 1, 0) : 0
    view.offset = Math.min(Math.max(view.offset + by, 0), last)
  }
}
