// Owns the drawer with the details of one session: facts, timeline, and the button that ends it.
import type { Api } from './api.js'
import { confirmed } from './confirm.js'
import { copyable } from './copy.js'
import { byId, el, html, setText } from './dom.js'
import { bytesText, clockText, countText, durationText, reasonText } from './format.js'
import { failureText } from './part.js'
import { clientLabel, type ListedSession } from './sessions.js'
import { texts } from './texts.js'
import type { Subject } from './view.js'

/** What the drawer acts on. */
export interface DrawerOptions {
  api: Api
  mayEnd: () => boolean
  /** A session was ended; `text` says which one. */
  onEnded: (text: string) => void
  onClosed: () => void
  /** The reader wants to see all sessions of a principal or conversation. */
  onSubject: (subject: Subject) => void
}

/** The drawer, open or not. */
export class Drawer {
  readonly #options: DrawerOptions
  readonly #dialog = byId('drawer', HTMLDialogElement)
  readonly #title = html('drawer-title')
  readonly #facts = html('drawer-facts')
  readonly #timeline = html('drawer-timeline')
  readonly #end = byId('drawer-end', HTMLButtonElement)
  readonly #note = html('drawer-note')
  #session: ListedSession | undefined
  /** The facts in the page, as JSON. */
  #shownFacts: string | undefined
  #failure = ''

  constructor(options: DrawerOptions) {
    this.#options = options
    this.#end.addEventListener('click', () => void this.#endIt())
    this.#dialog.addEventListener('click', event => {
      const target = event.target as Element
      if (target === this.#dialog || target.closest('[data-close]')) this.#leave()
    })
    // `close` comes too late for a reload right after the key; `cancel` does not come for each way of closing.
    this.#dialog.addEventListener('keydown', event => {
      if (event.key === 'Escape') this.#leave()
    })
    this.#dialog.addEventListener('cancel', () => this.#leave())
    this.#dialog.addEventListener('close', () => {
      if (!this.#dialog.open && this.#session) this.#leave()
    })
  }

  /** The key of the session in the drawer; undefined: it is closed. */
  get key(): string | undefined {
    return this.#session?.key
  }

  /** Shows a session. */
  open(session: ListedSession): void {
    this.#session = session
    this.#shownFacts = undefined
    this.#failure = ''
    this.#show()
    if (!this.#dialog.open) this.#dialog.showModal()
    this.#dialog.scrollTop = 0
  }

  /** Shows none. */
  close(): void {
    this.#session = undefined
    this.#dialog.close()
  }

  /** The session in the drawer changed, or time has passed. */
  update(session = this.#session): void {
    if (!this.#session) return
    this.#session = session
    this.#show()
  }

  /** The reader leaves the session. */
  #leave(): void {
    this.close()
    this.#options.onClosed()
  }

  #show(): void {
    const session = this.#session
    if (!session) return
    setText(this.#title, clientLabel(session))
    this.#showFacts(session)
    const reason = this.#whyNot(session)
    this.#end.disabled = reason !== ''
    this.#end.hidden = session.ended !== null
    setText(this.#note, session.ended ? '' : this.#failure || reason)
    this.#timeline.replaceChildren(...timeline(session, Date.now()))
  }

  #showFacts(session: ListedSession): void {
    const shown = JSON.stringify({ ...session, lastSeenAt: 0 })
    if (shown === this.#shownFacts) return
    this.#shownFacts = shown
    this.#facts.replaceChildren(
      ...this.#factsOf(session).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])
    )
  }

  #factsOf(session: ListedSession): (readonly [string, Node | string])[] {
    const { facts } = texts
    const { principal, principalKind, oauthClient, conversation, upstream } = session
    const client = [session.clientName ?? texts.notTold, session.clientVersion ?? ''].join(' ').trim()
    return [
      [facts.endpoint, session.endpointId],
      ...(principal === null
        ? []
        : [[facts.principal, this.#link(principal, { principal }, principalKind)] as const]),
      ...(oauthClient === null ? [] : [[facts.oauthClient, oauthClient] as const]),
      ...(conversation === null
        ? []
        : [[facts.conversation, this.#link(conversation, { conversation }, null)] as const]),
      [facts.transport, texts.transports[session.transport]],
      [facts.client, client],
      [facts.userAgent, session.userAgent === '' ? texts.notTold : session.userAgent],
      [facts.address, session.address],
      [facts.protocol, session.protocolVersion ?? texts.notTold],
      [facts.requests, countText(session.requestCount)],
      [facts.calls, countText(session.callCount)],
      [facts.errors, countText(session.errorCount)],
      ...(session.unreadCount === 0 ? [] : [[facts.unread, countText(session.unreadCount)] as const]),
      [facts.bytes, texts.bytesBothWays(bytesText(session.bytesIn), bytesText(session.bytesOut))],
      ...(upstream === null ? [] : [[facts.gateway, upstream] as const]),
      [facts.sessionId, copyable(facts.sessionId, session.sessionId)]
    ]
  }

  #link(name: string, subject: Subject, kind: ListedSession['principalKind']): Node {
    const button = el('button', { type: 'button', class: 'link' }, name)
    button.addEventListener('click', () => this.#options.onSubject(subject))
    return el(
      'span',
      {},
      button,
      ...(kind === null ? [] : [' ', el('span', { class: 'tag' }, texts.kinds[kind])])
    )
  }

  /** Why the session cannot be ended, as a message for the reader; empty if it can be ended. */
  #whyNot({ transport }: ListedSession): string {
    if (!this.#options.mayEnd()) return texts.mayOnlyRead
    return transport === 'sessionless' ? texts.cannotEndSessionless : ''
  }

  async #endIt(): Promise<void> {
    const session = this.#session
    if (!session) return
    const { sessionId, endpointId } = session
    const question = {
      title: texts.endTitle,
      text: texts.losesSession(clientLabel(session), endpointId),
      yes: texts.endIt,
      no: texts.keepIt
    }
    if (!(await confirmed(question))) return
    this.#end.disabled = true
    this.#end.setAttribute('aria-busy', 'true')
    try {
      const path = `/api/mcp/connections/${encodeURIComponent(sessionId)}`
      await this.#options.api.send('DELETE', path, { endpointId })
      this.#options.onEnded(texts.sessionEnded(clientLabel(session), endpointId))
      if (this.key === session.key) this.#leave()
    } catch (error) {
      this.#failure = texts.notEnded(failureText(error))
    } finally {
      this.#end.removeAttribute('aria-busy')
      this.#show()
    }
  }
}

function timeline(session: ListedSession, now: number): HTMLElement[] {
  const { connectedAt, lastSeenAt, ended, requestCount } = session
  const step = (kind: string, at: number, title: string, text: string) =>
    el(
      'li',
      { class: kind },
      el('span', { class: 'dot' }),
      el('div', {}, el('b', {}, title), el('p', {}, text)),
      el('time', { class: 'number', datetime: new Date(at).toISOString() }, clockText(at))
    )
  const requests = texts.requests(requestCount, countText(requestCount))
  const quiet = ended ? requests : texts.quietFor(requests, durationText(now - lastSeenAt))
  return [
    step('opened', connectedAt, texts.opened, texts.fromAddress(session.address)),
    ...(lastSeenAt > connectedAt || requestCount > 1
      ? [step('used', lastSeenAt, texts.lastUsed, quiet)]
      : []),
    ended
      ? step(
          'closed',
          ended.at,
          texts.endedAfter(durationText(ended.at - connectedAt)),
          reasonText(ended.reason)
        )
      : step('now', now, texts.openFor(durationText(now - connectedAt)), '')
  ]
}
