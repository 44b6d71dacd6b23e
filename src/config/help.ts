// Owns what `--help` and `--version` print.
import { boolean } from './setting-kinds.js'
import { byFlag, checkSettings, copySettings, type Schema, settings } from './settings.js'
import { version } from './version.js'

/** The text that `--help`, `-h` or `--version` asks for; undefined where none of them is given. */
export function informationAsked(argv: readonly string[]): string | undefined {
  if (argv.includes('--help') || argv.includes('-h')) return helpText()
  return argv.includes('--version') ? version() : undefined
}

/** What `--help` prints: a line for each setting, with its default. */
export function helpText(): string {
  return [
    'mcp-turnstile: a reverse proxy in front of an MCP gateway that counts every session',
    '',
    'Usage: mcp-turnstile --upstream URL [flags]',
    '',
    ...flagLines({
      ...settings,
      help: { kind: boolean, help: 'this text' },
      version: { kind: boolean, help: 'the version' }
    }),
    '',
    'mcp-turnstile check [flags]: compares counts by endpoint, minute and day with the sessions; exit code 1 if they differ',
    '',
    ...flagLines(checkSettings),
    '',
    'mcp-turnstile copy [flags]: copies a whole store into an empty one, SQLite or MySQL, and compares them; exit code 1: nothing was copied',
    '',
    ...flagLines(copySettings),
    '',
    'Every flag is also an environment variable (--data-dir is TURNSTILE_DATA_DIR); where both are given, the flag counts.',
    'Times: 500ms, 300s, 5m, 1h, ages also 30d. A flag without a value is switched off by =false.'
  ].join('\n')
}

function flagLines(schema: Schema): string[] {
  const lines = [...byFlag(schema)].map(([flag, { kind, ...setting }]): [string, string] => {
    const byDefault = setting.default === undefined ? '' : ` (default: ${setting.default})`
    const left = kind.alone === undefined ? `${flag} ${kind.placeholder}` : flag
    return [left, setting.help + byDefault]
  })
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
