// Owns the list of commands that ask the admin port.
import { drain, end, undrain } from './action-commands.js'
import type { Command } from './command.js'
import { count, principals, sessions, status, upstreams } from './list-commands.js'
import { tail } from './tail-command.js'
import { top } from './top-command.js'

/** By their names, in the order of the help. */
export const commands: Readonly<Record<string, Command>> = {
  ...{ status, sessions, count, principals, upstreams, top, tail, end, drain, undrain }
}
