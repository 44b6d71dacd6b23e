// Owns what can be done with the endpoint that is chosen: drain it, end its sessions, delete it, look at its tools.
import type { DrainState, EndpointInfo, Tool } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { confirmed } from './confirm.js'
import { byId, el, html, setText } from './dom.js'
import { countText } from './format.js'
import { failureText } from './part.js'
import { texts } from './texts.js'

/** What the buttons act on. */
export interface EndpointActionsOptions {
  api: Api
  mayWrite: () => boolean
  /** Something was done, or could not be done; `text` says what. */
  onDone: (text: string) => void
  /** The endpoint is there no longer. */
  onDeleted: () => void
}

/** The response to ending all sessions of something. */
interface Ended {
  ended: number
  failed: readonly unknown[]
}

/** Ends all sessions of an endpoint or of a principal; resolves with what to say of it. */
export async function endAll(api: Api, of: { endpointId?: string; principal?: string }): Promise<string> {
  const { ended, failed } = await api.send<Ended>('DELETE', '/api/mcp/connections', of)
  return texts.allEnded(countText(ended), failed.length === 0 ? undefined : countText(failed.length))
}

/** The buttons, shown while one endpoint is chosen. */
export class EndpointActions {
  readonly #options: EndpointActionsOptions
  readonly #bar = html('endpoint-actions')
  readonly #drain = byId('drain', HTMLButtonElement)
  readonly #end = byId('end-all', HTMLButtonElement)
  readonly #delete = byId('delete-endpoint', HTMLButtonElement)
  #endpointId: string | undefined
  #info: EndpointInfo | undefined

  constructor(options: EndpointActionsOptions) {
    this.#options = options
    this.#drain.addEventListener('click', () => void this.#doing(id => this.#toggleDrain(id)))
    this.#end.addEventListener('click', () => void this.#doing(id => this.#endAll(id)))
    this.#delete.addEventListener('click', () => void this.#doing(id => this.#deleteIt(id)))
    html('tools').addEventListener('click', () => void this.#showTools())
    const dialog = byId('tools-dialog', HTMLDialogElement)
    dialog.addEventListener('click', ({ target }) => {
      if (target === dialog || (target as Element).closest('[data-close]')) dialog.close()
    })
  }

  /** Acts on this endpoint; undefined: on none. */
  choose(endpointId: string | undefined): void {
    this.#endpointId = endpointId
    this.#info = undefined
    this.#show()
  }

  /** The endpoints as they are now. */
  update(endpoints: readonly EndpointInfo[]): void {
    this.#info = endpoints.find(({ endpointId }) => endpointId === this.#endpointId)
    this.#show()
  }

  #show(): void {
    this.#bar.hidden = this.#endpointId === undefined
    const mayWrite = this.#options.mayWrite()
    const { draining = false, activeConnections = 0 } = this.#info ?? {}
    setText(this.#drain, draining ? texts.takeBack : texts.drain)
    this.#drain.title = draining ? texts.takeBackEndpointTitle : texts.drainEndpointTitle
    this.#drain.setAttribute('aria-pressed', String(draining))
    this.#drain.disabled = !mayWrite
    this.#end.disabled = !mayWrite || activeConnections === 0
    this.#delete.disabled = !mayWrite || this.#info === undefined || activeConnections > 0
    this.#delete.title = activeConnections > 0 ? texts.deleteNeedsEmpty : ''
  }

  /** What cannot be done says why. */
  async #doing(act: (endpointId: string) => Promise<string | undefined>): Promise<void> {
    if (this.#endpointId === undefined) return
    try {
      const done = await act(this.#endpointId)
      if (done !== undefined) this.#options.onDone(done)
    } catch (error) {
      this.#options.onDone(texts.notDone(failureText(error)))
    }
  }

  async #toggleDrain(endpointId: string): Promise<string> {
    const method = this.#info?.draining ? 'DELETE' : 'PUT'
    const { status } = await this.#options.api.send<DrainState>(method, '/api/mcp/endpoints/drain', {
      endpointId
    })
    const draining = status === 'draining'
    this.#info = { activeConnections: 0, ...this.#info, endpointId, draining }
    this.#show()
    return draining ? texts.endpointDrained(endpointId) : texts.endpointTakenBack(endpointId)
  }

  async #endAll(endpointId: string): Promise<string | undefined> {
    const count = this.#info?.activeConnections ?? 0
    const question = {
      title: texts.endAllTitle(count, countText(count)),
      text: texts.endAllText(endpointId),
      yes: texts.endThem,
      no: texts.keepThem
    }
    return (await confirmed(question)) ? await endAll(this.#options.api, { endpointId }) : undefined
  }

  async #deleteIt(endpointId: string): Promise<string | undefined> {
    const question = {
      title: texts.deleteTitle(endpointId),
      text: texts.deleteText,
      yes: texts.deleteIt,
      no: texts.keepIt
    }
    if (!(await confirmed(question))) return undefined
    await this.#options.api.send('DELETE', '/api/mcp/endpoints', { endpointId })
    this.#options.onDeleted()
    return texts.endpointDeleted(endpointId)
  }

  async #showTools(): Promise<void> {
    const endpointId = this.#endpointId
    if (endpointId === undefined) return
    const list = html('tools-list')
    setText(html('tools-title'), texts.toolsOf(endpointId))
    list.replaceChildren(el('li', {}, texts.reading))
    byId('tools-dialog', HTMLDialogElement).showModal()
    try {
      const tools = await this.#options.api.get<Tool[]>('/api/mcp/tools', { endpointId })
      list.replaceChildren(...(tools.length === 0 ? [el('li', {}, texts.noTools)] : tools.map(toolItem)))
    } catch (error) {
      list.replaceChildren(el('li', {}, texts.notDone(failureText(error))))
    }
  }
}

function toolItem({ name, ...more }: Tool): HTMLElement {
  const { description } = more as { description?: unknown }
  return el('li', {}, el('b', {}, name), el('p', {}, typeof description === 'string' ? description : ''))
}
