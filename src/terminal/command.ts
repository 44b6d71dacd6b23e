// Owns what a command is.
import type { Schema, ValuesOf } from '../config/settings.js'
import type { AdminApi } from './admin-api.js'
import type { Output } from './terminal-output.js'

/** What a command works with. */
export interface Invocation<S extends Schema> {
  /** The values of its flags. */
  flags: ValuesOf<S>
  /** What stands between flags. */
  operands: readonly string[]
  api: AdminApi
  output: Output
}

/** A command of the command line. */
export interface Command<S extends Schema = Schema> {
  /** One line for the list of commands. */
  summary: string
  /** Behind its name, such as `NAME`; brackets: may be left out. */
  usage: string
  /** How many operands it takes. */
  operands: { least: number; most: number }
  /** More lines for its `--help`. */
  details: readonly string[]
  /** Its flags, beside those of all commands. */
  settings: S
  /** Resolves with the exit code. */
  run(invocation: Invocation<S>): Promise<number>
}

/** A command with the types of its own flags. */
export const command = <S extends Schema>(declared: Command<S>): Command => declared
