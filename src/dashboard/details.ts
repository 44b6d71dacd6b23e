// Owns which session's details are open: the one that the address of the page names.
import type { AddressBar } from './address-bar.js'
import type { Api } from './api.js'
import { Drawer, type DrawerOptions } from './drawer.js'
import { findSession } from './find-session.js'
import { failureText } from './part.js'
import { listKey, type ListedSession } from './sessions.js'
import { texts } from './texts.js'
import type { Toast } from './toast.js'

/** What the details are found by. */
export interface DetailsOptions extends Pick<DrawerOptions, 'mayEnd' | 'onSubject'> {
  api: Api
  address: AddressBar
  toast: Toast
  /** The session with this `listKey`, if it is listed. */
  listed: (key: string) => ListedSession | undefined
  /** Whether the reader was let in. */
  mayAsk: () => boolean
}

/** The drawer and its place in the address. */
export class Details {
  readonly #options: DetailsOptions
  readonly #drawer: Drawer

  constructor(options: DetailsOptions) {
    this.#options = options
    const { api, mayEnd, onSubject, address, toast } = options
    this.#drawer = new Drawer({
      api,
      mayEnd,
      onSubject,
      onEnded: text => toast.show(text),
      onClosed: () => address.closeSession()
    })
  }

  /** Opens a session. */
  open({ endpointId, sessionId, connectedAt }: ListedSession): void {
    this.#options.address.go({ session: { endpointId, sessionId, connectedAt } })
  }

  /** Opens the session that was reported under this `listKey`. */
  openListed(key: string): void {
    const session = this.#options.listed(key)
    if (session) this.open(session)
    else this.#options.toast.show(texts.hasEnded)
  }

  /** Shows the session that the address names, or none. */
  look(): void {
    const { api, address, toast, listed, mayAsk } = this.#options
    const { session: named } = address.view
    if (!named) return this.#drawer.close()
    const key = listKey(named.endpointId, named.sessionId)
    if (this.#drawer.key === key || !mayAsk()) return
    const known = listed(key)
    if (known) return this.#drawer.open(known)
    findSession(api, named).then(
      found => {
        if (address.view.session !== named) return
        if (found) this.#drawer.open(found)
        else toast.show(texts.notFound)
      },
      (error: unknown) => toast.show(texts.notDone(failureText(error)))
    )
  }

  /** A session ended. */
  closed(session: ListedSession): void {
    if (this.#drawer.key === session.key) this.#drawer.update(session)
  }

  /** A second has passed. */
  tick(): void {
    const { key } = this.#drawer
    if (key !== undefined) this.#drawer.update(this.#options.listed(key))
  }
}
