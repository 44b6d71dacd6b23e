// Owns the tab of tools: how often each was called, how often it failed, and how long it took.
import type { ToolUsageInfo } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { byId, html, setText } from './dom.js'
import { minuteText } from './format.js'
import { Pace } from './pace.js'
import { Part } from './part.js'
import { HOUR_MS, type ShownRange } from './range.js'
import { texts } from './texts.js'
import { ToolChart } from './tool-chart.js'
import { chooseToolColumn } from './tool-sorting.js'
import { ToolTable } from './tool-table.js'
import { isTool, seriesOf, type Span, spanFor, totalsOf } from './tool-totals.js'
import type { ToolView, View } from './view.js'

/** How often it is read at most. Chosen: figures of whole hours need no more. */
const READ_MS = 10_000

/** What the tab reads from, and what the reader does with it. */
export interface ToolsTabOptions {
  api: Api
  view: () => View
  range: () => ShownRange
  onLook: (tools: ToolView) => void
}

/** What was read. */
interface Usage {
  items: readonly ToolUsageInfo[]
  range: ShownRange
  span: Span
}

/** The chart and the table. */
export class ToolsTab {
  readonly #options: ToolsTabOptions
  readonly #chart = new ToolChart(html('tool-chart'), html('tool-readout'))
  readonly #table: ToolTable
  readonly #form = byId('tool-spans', HTMLFormElement)
  readonly #pace = new Pace(READ_MS, () => this.#read())
  readonly part = new Part(html('tools-tab'), html('tool-head'))
  #usage: Usage | undefined
  /** What was asked for last, as JSON. */
  #asked = ''
  #isShown = false

  constructor(options: ToolsTabOptions) {
    this.#options = options
    const change = (changed: Partial<ToolView>): void =>
      options.onLook({ ...options.view().tools, ...changed })
    this.#table = new ToolTable(html('tool-table'), {
      onSort: column => change({ sorting: chooseToolColumn(options.view().tools.sorting, column) }),
      onChoose: tool => change({ tool })
    })
    this.#form.addEventListener('change', () =>
      change({ span: new FormData(this.#form).get('span') as Span })
    )
    html('all-tools').addEventListener('click', () => change({ tool: undefined }))
  }

  /** Whether the reader looks at it, perhaps at another range, endpoint or tool. */
  look(isShown: boolean): void {
    this.#isShown = isShown
    if (!isShown) return
    const { endpointId, range } = this.#options.view()
    const asked = JSON.stringify([endpointId, range, this.#span])
    if (asked !== this.#asked) {
      this.#asked = asked
      this.#usage = undefined
      this.#pace.now()
    }
    this.#show()
  }

  /** Reads all again. */
  read(): void {
    if (this.#isShown) this.#pace.now()
  }

  /** Tools may have been used. */
  changed(): void {
    if (this.#isShown) this.#pace.soon()
  }

  /** The colours or the time zone changed. */
  repaint(): void {
    this.#chart.repaint()
  }

  get #span(): Span {
    const { start, end } = this.#options.range()
    return this.#options.view().tools.span ?? spanFor(end - start)
  }

  async #read(): Promise<void> {
    if (document.hidden) return
    const { endpointId } = this.#options.view()
    const [range, span, asked] = [this.#options.range(), this.#span, this.#asked]
    const parameters = {
      start_time: Math.floor(range.start),
      end_time: Math.floor(range.end),
      endpointId,
      by: span
    }
    try {
      const items = await this.part.reading(() =>
        this.#options.api.get<ToolUsageInfo[]>('/api/mcp/tools/usage', parameters)
      )
      if (asked === this.#asked) this.#usage = { items, range, span }
    } finally {
      this.#show()
    }
  }

  #show(): void {
    const { tools, endpointId } = this.#options.view()
    const { sorting } = tools
    // A tool of another endpoint is not among those that are looked at.
    const isOther = endpointId !== undefined && tools.tool?.endpointId !== endpointId
    const tool = isOther ? undefined : tools.tool
    this.#form.querySelector<HTMLInputElement>(`input[value=${this.#span}]`)!.checked = true
    html('all-tools').hidden = tool === undefined
    setText(html('all-tools-name'), tool?.tool ?? '')
    const usage = this.#usage
    const items = usage?.items ?? []
    this.#table.show(totalsOf(items), { sorting, chosen: tool, isOfOne: endpointId !== undefined })
    html('tool-chart-box').hidden = items.length === 0 || usage?.span === 'total'
    if (usage && items.length > 0 && usage.span !== 'total') {
      const charted = items.filter(item => isTool(item, tool))
      this.#chart.show(seriesOf(charted, usage.range, usage.span))
    }
    setText(html('tool-note'), this.#note)
  }

  get #note(): string {
    if (!this.#usage) return this.part.isFailing ? '' : texts.reading
    const { items, range } = this.#usage
    return items.length === 0 ? texts.noToolCalls : wholeHours(range)
  }
}

/** The hours that are counted, those that the range touches, for readers. */
function wholeHours({ start, end, isLive }: ShownRange): string {
  const from = Math.floor(start / HOUR_MS) * HOUR_MS
  const to = (Math.floor(end / HOUR_MS) + 1) * HOUR_MS
  return texts.wholeHours(minuteText(from), isLive ? texts.now : minuteText(to))
}
