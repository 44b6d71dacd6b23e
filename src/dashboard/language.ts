// Owns which language the page speaks: the one that the reader chose, else the first that the browser prefers and we know.
import { byId, html, setText } from './dom.js'
import { english } from './texts-en.js'
import { chinese } from './texts-zh.js'
import { speak } from './texts.js'

const KEY = 'mcp-turnstile-language'

/** By the first part of their tags. */
const languages = {
  en: { tag: 'en-GB', texts: english, other: 'zh' },
  zh: { tag: 'zh-CN', texts: chinese, other: 'en' }
} as const
type Known = keyof typeof languages

function preferred(): Known {
  const wanted = [localStorage.getItem(KEY) ?? '', ...navigator.languages]
  const known = wanted.map(tag => tag.split('-', 1)[0]).find(language => language! in languages)
  return (known as Known | undefined) ?? 'en'
}

/** Speaks, fills the texts of the page in, and makes the switch work. */
export function startLanguage(): void {
  const { tag, texts, other } = languages[preferred()]
  speak(tag, texts)
  document.documentElement.lang = tag
  const text = (key: string): string => texts.page[key as keyof typeof texts.page]
  for (const element of document.querySelectorAll<HTMLElement>('[data-text]'))
    setText(element, text(element.dataset['text']!))
  for (const element of document.querySelectorAll<HTMLElement>('[data-label]'))
    element.setAttribute('aria-label', text(element.dataset['label']!))
  for (const element of document.querySelectorAll<HTMLElement>('[data-title]'))
    element.title = text(element.dataset['title']!)
  byId('filter-text', HTMLInputElement).placeholder = texts.page.findText
  const button = html('language')
  button.lang = languages[other].tag
  button.addEventListener('click', () => {
    localStorage.setItem(KEY, other)
    // The address says what is looked at, so that nothing else is lost.
    location.reload()
  })
}
