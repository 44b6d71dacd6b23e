// Owns the breaking of long lines of text for a terminal.

/** In a terminal that is too narrow for what hangs, lines go on here. */
const LEAST_INDENT = 6
/** What hangs needs so much room. Chosen: some words. */
const LEAST_ROOM = 30
/** What stands on the left of a line with two columns, and the gap behind it. */
const leftColumn = /^ {2}\S.*? {2,}/

/**
 * Breaks lines that are longer than `columns` between words; undefined: none is. A line that begins with two spaces has two columns, and
 * goes on in the second one.
 */
export function wrapLines(text: string, columns: number | undefined): string {
  if (columns === undefined) return text
  return text
    .split('\n')
    .map(line => wrapLine(line, columns))
    .join('\n')
}

function wrapLine(line: string, columns: number): string {
  if (line.length <= columns) return line
  const left = leftColumn.exec(line)?.[0] ?? ''
  const indent = left.length + LEAST_ROOM <= columns ? left.length : LEAST_INDENT
  const [first = '', ...words] = line.slice(left.length).split(' ')
  const lines: string[] = []
  let current = left + first
  for (const word of words) {
    if (current.length + 1 + word.length <= columns) current += ` ${word}`
    else {
      lines.push(current)
      current = ' '.repeat(indent) + word
    }
  }
  return [...lines, current].join('\n')
}
