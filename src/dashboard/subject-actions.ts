// Owns what can be done with a principal: end all of its sessions, and erase its name.
import type { PrincipalErased } from '../admin/schemas/monitoring-responses.js'
import type { Api } from './api.js'
import { confirmed } from './confirm.js'
import { byId, html } from './dom.js'
import { endAll } from './endpoint-actions.js'
import { asked } from './filters.js'
import { countText } from './format.js'
import { failureText } from './part.js'
import { texts } from './texts.js'
import type { Subject } from './view.js'

/** What the buttons act on. */
export interface SubjectActionsOptions {
  api: Api
  mayWrite: () => boolean
  /** Something was done, or could not be done; `text` says what. */
  onDone: (text: string) => void
  /** The name is another one now. */
  onRenamed: (principal: string) => void
}

/** The buttons, shown for a principal. */
export class SubjectActions {
  readonly #options: SubjectActionsOptions
  readonly #end = byId('subject-end', HTMLButtonElement)
  readonly #erase = byId('subject-erase', HTMLButtonElement)
  #principal: string | undefined

  constructor(options: SubjectActionsOptions) {
    this.#options = options
    this.#end.addEventListener('click', () => void this.#doing(name => this.#endAll(name)))
    this.#erase.addEventListener('click', () => void this.#doing(name => this.#eraseIt(name)))
  }

  /** Acts on this subject, which has so many sessions open; undefined where that is not known. */
  show(subject: Subject | undefined, open: number | undefined): void {
    this.#principal = subject && 'principal' in subject ? subject.principal : undefined
    html('subject-actions').hidden = this.#principal === undefined
    // The admin port does not know a name that is hidden (--mask).
    const isHidden = this.#principal !== undefined && asked(this.#principal) === undefined
    const whyNot = !this.#options.mayWrite() ? texts.mayOnlyRead : isHidden ? texts.nameIsHidden : ''
    this.#end.disabled = whyNot !== '' || open === 0
    this.#erase.disabled = whyNot !== ''
    this.#end.title = this.#erase.title = whyNot
  }

  async #doing(act: (principal: string) => Promise<void>): Promise<void> {
    if (this.#principal === undefined) return
    try {
      await act(this.#principal)
    } catch (error) {
      this.#options.onDone(texts.notDone(failureText(error)))
    }
  }

  async #endAll(principal: string): Promise<void> {
    const question = {
      title: texts.endAllOfTitle(principal),
      text: texts.endAllOfText,
      yes: texts.endThem,
      no: texts.keepThem
    }
    if (await confirmed(question)) this.#options.onDone(await endAll(this.#options.api, { principal }))
  }

  async #eraseIt(principal: string): Promise<void> {
    const question = {
      title: texts.eraseTitle(principal),
      text: texts.eraseText,
      yes: texts.eraseIt,
      no: texts.keepIt
    }
    if (!(await confirmed(question))) return
    const { api, onRenamed, onDone } = this.#options
    const { token, sessions } = await api.send<PrincipalErased>('DELETE', '/api/mcp/principals', {
      principal
    })
    onRenamed(token)
    onDone(texts.erased(countText(sessions)))
  }
}
