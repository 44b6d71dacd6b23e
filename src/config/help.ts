// Owns what `--help` and `--version` print.
import { boolean } from './setting-kinds.js'
import { byFlag, checkSettings, copySettings, type Schema, settings } from './settings.js'
import { version } from './version.js'

/** The text that `--help`, `-h` or `--version` asks for; undefined where none of them is given. `commands`: with their summaries. */
export function informationAsked(
  argv: readonly string[],
  commands: readonly [name: string, summary: string][] = []
): string | undefined {
  if (argv.includes('--help') || argv.includes('-h')) {
    const [command] = argv
    return command === 'check' ? checkHelp() : command === 'copy' ? copyHelp() : helpText(commands)
  }
  return argv.includes('--version') ? version() : undefined
}

/** What `check --help` prints. */
const checkHelp = (): string =>
  [
    'mcp-turnstile check: compares counts by endpoint, minute and day with the sessions; changes nothing without --repair',
    '',
    'Usage: mcp-turnstile check [flags]',
    '',
    ...flagLines(checkSettings),
    '',
    'Exit codes: 0 nothing differs, or all is put right; 1 something differs; 2 the database cannot be used.'
  ].join('\n')

/** What `copy --help` prints. */
const copyHelp = (): string =>
  [
    'mcp-turnstile copy: copies a whole store into an empty one, SQLite or MySQL, and compares the two',
    '',
    'Usage: mcp-turnstile copy --from STORE --to STORE',
    '',
    'End the proxies that use the old store first. Keep their data directories, and start them with the new store.',
    '',
    ...flagLines(copySettings),
    '',
    'Exit codes: 0 everything is copied and equal; 1 nothing was copied: a proxy still uses the old store, the new one is',
    'not empty, or the comparison failed; 2 nothing was copied: a flag or a database cannot be used.'
  ].join('\n')

/** What `--help` prints: a line for each setting, with its default. */
export function helpText(commands: readonly [name: string, summary: string][] = []): string {
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
    ...(commands.length > 0
      ? ['Commands that ask the admin port (mcp-turnstile COMMAND --help tells more):', '']
      : []),
    ...commands.map(([name, summary]) => `  ${name.padEnd(12)}${summary}`),
    ...(commands.length > 0 ? [''] : []),
    'Every flag is also an environment variable (--data-dir is TURNSTILE_DATA_DIR); where both are given, the flag counts.',
    'Times: 500ms, 300s, 5m, 1h, ages also 30d. A flag without a value is switched off by =false.'
  ].join('\n')
}

/** A line of `--help` for each setting. */
export function flagLines(schema: Schema): string[] {
  const lines = [...byFlag(schema)].map(([flag, { kind, ...setting }]): [string, string] => {
    const byDefault = setting.default === undefined ? '' : ` (default: ${setting.default})`
    const left = kind.alone === undefined ? `${flag} ${kind.placeholder}` : flag
    return [left, setting.help + byDefault]
  })
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
