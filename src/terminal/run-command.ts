// Owns running a command of the command line: its help, its flags, and the exit codes of its failures.
import { flagLines } from '../config/help.js'
import { ConfigError, parseCommand } from '../config/read-settings.js'
import { wrapLines } from '../util/wrap-lines.js'
import { AdminApi, AdminApiError } from './admin-api.js'
import type { Command } from './command.js'
import { commands } from './commands.js'
import { Exit } from './exit-codes.js'
import { shown } from './shown-values.js'
import { Output } from './terminal-output.js'
import { connectionSettings } from './terminal-settings.js'
import { fetcherFor } from './tls-fetch.js'

/** Answers of the admin port that mean no, and not that it cannot say. */
const NO = new Set([404, 409, 410, 502])

/** Runs a command; resolves with its exit code. `name`: one of `commands`. */
export async function runCommand(
  name: string,
  argv: readonly string[],
  env: Record<string, string | undefined>
): Promise<number> {
  const command = commands[name]!
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(wrapLines(helpOf(name, command), process.stdout.columns))
    return Exit.ok
  }
  // A reader that has enough, such as `head`, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? Exit.ok : Exit.no)
  )
  try {
    const { values, operands } = parseCommand({ ...connectionSettings, ...command.settings }, argv, env)
    const { least, most } = command.operands
    if (operands.length < least || operands.length > most)
      throw new ConfigError('UNEXPECTED_ARGUMENT', `usage: mcp-turnstile ${name} ${command.usage}`.trimEnd())
    const { adminUrl, tokenFile, adminToken, json } = values
    const api = new AdminApi(adminUrl, tokenFile ?? adminToken ?? [], await fetcherFor(values))
    return await command.run({ flags: values, operands, api, output: new Output(json) })
  } catch (error) {
    if (error instanceof ConfigError) return failed(error, Exit.unusable)
    if (!(error instanceof AdminApiError)) throw error
    const { status } = error
    return failed(error, status === 400 ? Exit.unusable : NO.has(status ?? 0) ? Exit.no : Exit.unreachable)
  }
}

function failed({ message }: Error, code: number): number {
  console.error(`mcp-turnstile: ${shown(message)}`)
  return code
}

function helpOf(name: string, { summary, usage, details, settings }: Command): string {
  return [
    `mcp-turnstile ${name}: ${summary}`,
    '',
    `Usage: ${`mcp-turnstile ${name} ${usage}`.trimEnd()} [flags]`,
    ...(details.length > 0 ? ['', ...details] : []),
    '',
    ...flagLines({ ...settings, ...connectionSettings }),
    '',
    'Variables: TURNSTILE_ADMIN_URL, TURNSTILE_ADMIN_TOKEN, TURNSTILE_ADMIN_TOKEN_FILE.',
    'Exit codes: 0 done, or it is so; 1 no; 2 a flag or argument cannot be used; 3 the admin port does not respond, or refuses the token.'
  ].join('\n')
}
