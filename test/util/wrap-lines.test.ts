// Owns the breaking of long lines: between words, in the second column where there are two, and never where nobody looks.
import t from 'tap'
import { wrapLines } from '../../src/util/wrap-lines.js'

const text = [
  'A line that is not a setting goes on at the beginning of the next one.',
  '  --flag VALUE  what it does, and what it does not do at all (default: 1)',
  '  --f           short',
  '  --store URL   https://example.com/a-word-that-is-longer-than-any-terminal-is-wide'
].join('\n')

void t.test('lines are broken between words, in their column', t => {
  t.equal(
    wrapLines(text, 50),
    [
      'A line that is not a setting goes on at the',
      'beginning of the next one.',
      '  --flag VALUE  what it does, and what it does not',
      '                do at all (default: 1)',
      '  --f           short',
      '  --store URL   https://example.com/a-word-that-is-longer-than-any-terminal-is-wide'
    ].join('\n')
  )
  t.end()
})

void t.test('a narrow terminal gets more of a line', t => {
  const [, flag] = text.split('\n')
  t.equal(
    wrapLines(flag!, 40),
    '  --flag VALUE  what it does, and what\n      it does not do at all (default: 1)'
  )
  t.end()
})

void t.test('a file or a pipe gets the lines as they are', t => {
  t.equal(wrapLines(text, undefined), text)
  t.end()
})
