// Owns the tests of the texts: the page and both tables have the same keys, and Chinese is Chinese.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { english } from '../../src/dashboard/texts-en.js'
import { chinese } from '../../src/dashboard/texts-zh.js'

const page = readFileSync(new URL('../../src/dashboard/page/index.html', import.meta.url), 'utf8')
const used = new Set([...page.matchAll(/data-(?:text|label|title)="(\w+)"/g)].map(([, key]) => key!))

/** What a text reads with sample arguments, by its path. */
function readings(table: object, path = ''): Map<string, string> {
  const entries = Object.entries(table).flatMap(([key, value]): [string, string][] => {
    const at = `${path}${key}`
    if (typeof value === 'string') return [[at, value]]
    if (typeof value === 'function') return [[at, (value as (...args: string[]) => string)('1', '2', '')]]
    return [...readings(value as object, `${at}.`)]
  })
  return new Map(entries)
}

void t.test('every key in the page is in the tables, and no other but two that are set later', t => {
  t.same(
    [...used].filter(key => !(key in english.page)),
    []
  )
  t.same(
    Object.keys(english.page).filter(key => !used.has(key)),
    ['resume', 'findText']
  )
  t.end()
})

void t.test('no text is missing or left in English', t => {
  const [inEnglish, inChinese] = [readings(english), readings(chinese)]
  t.same([...inChinese.keys()].sort(), [...inEnglish.keys()].sort())
  const han = /\p{Script=Han}/u
  const same = new Set(['page.otherLanguage', 'topUserAgents', 'facts.userAgent', 'kinds.oauth'])
  for (const [key, text] of inChinese) {
    t.not(text, '', key)
    if (/^transports/.test(key) || same.has(key)) continue
    t.match(text, han, `${key}: ${text}`)
  }
  for (const [key, text] of inEnglish) if (key !== 'page.otherLanguage') t.notMatch(text, han, key)
  t.end()
})
