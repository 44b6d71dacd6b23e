// Owns the way in: what the token of this tab allows, and asking for a token as often as needed.
import type { TokenAccess } from '../admin/schemas/monitoring-responses.js'
import { type Api, ApiError } from './api.js'
import { html, setFlag } from './dom.js'
import { texts } from './texts.js'
import { askForToken, keepToken } from './token.js'

/** How soon an admin port that cannot be reached is asked again. Chosen. */
const RETRY_MS = 2_000

/** What keeps the reader out, other than a token. */
export interface EntranceHandlers {
  onUnreachable: () => void
  /** `reason`: undefined once it lets the reader in. */
  onRefused: (reason: string | undefined) => void
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Resolves once the token, or none, is accepted: with whether it may write. */
export async function enter(api: Api, { onUnreachable, onRefused }: EntranceHandlers): Promise<boolean> {
  for (;;) {
    try {
      const { scope } = await api.get<TokenAccess>('/api/mcp/access')
      onRefused(undefined)
      keepToken(api.token)
      html('sign-out').hidden = api.token === undefined
      html('read-only').hidden = scope === 'write'
      setFlag(document.body, 'locked', false)
      return scope === 'write'
    } catch (error) {
      if (!(error instanceof ApiError)) onUnreachable()
      else if ([401, 403, 429].includes(error.status)) {
        await askAgain(api, error)
        continue
      } else onRefused(error.message)
      await sleep(RETRY_MS)
    }
  }
}

async function askAgain(api: Api, error: ApiError): Promise<void> {
  setFlag(document.body, 'locked', true)
  html('banner').hidden = true
  const wrong = api.token === undefined ? '' : texts.tokenNotAccepted
  api.token = await askForToken(error.status === 401 ? wrong : `${error.message}.`)
}
