// Owns the language in which the page speaks: all of its texts come from one table.
import { english, type Texts } from './texts-en.js'

/** The texts in the language of the page. */
export let texts: Texts = english
/** That language, as `lang` attributes and `Intl` name it. */
export let language = 'en-GB'

/** Speaks another language from now on; what is in the page already stays as it is. */
export function speak(chosen: string, table: Texts): void {
  language = chosen
  texts = table
}
