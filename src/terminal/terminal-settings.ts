// Owns the flags of commands: those by which every command finds the admin port, and kinds of values that only commands take.
import { boolean, type Kind, pemFile, tokenFile, tokens } from '../config/setting-kinds.js'
import type { Schema, Setting } from '../config/settings.js'

const adminUrl: Kind<URL> = {
  placeholder: 'URL',
  expected: 'an http or https URL without user, password and query, such as http://127.0.0.1:9090',
  parse(text) {
    const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined
    return url && url.username + url.password + url.search + url.hash === '' ? url : undefined
  }
}

/** Any text that is not empty. */
export const anyText = (placeholder: string): Kind<string> => ({
  placeholder,
  expected: 'a text',
  parse: text => text
})

/** How many rows; 0: all. */
export const rowLimit: Kind<number> = {
  placeholder: 'N',
  expected: 'a whole number of at most 7 digits, or 0 for all',
  parse: text => (/^\d{1,7}$/.test(text) ? Number(text) : undefined)
}

/** What every command takes. */
export const connectionSettings = {
  adminUrl: { kind: adminUrl, default: 'http://127.0.0.1:9090', help: 'the admin port' },
  tokenFile: {
    kind: tokenFile,
    alias: 'TURNSTILE_ADMIN_TOKEN_FILE',
    help: 'a file with its token; if it has several, the one that may do most is used (default: none)'
  },
  adminToken: {
    kind: tokens,
    secret: true,
    help: 'its token; safer in the variable, as others can see command lines (default: none)'
  },
  adminCa: { kind: pemFile, help: 'the CA of its certificate (default: those that Node trusts)' },
  adminCert: { kind: pemFile, help: 'the client certificate (default: none)' },
  adminKey: { kind: pemFile, help: 'the key of the client certificate (default: none)' },
  json: {
    kind: boolean,
    flagOnly: true,
    default: 'off',
    help: 'print the responses of the admin port, for programs'
  }
} satisfies Schema

/** A flag that says what one command is about, and that no variable gives. */
export const flag = <T>(kind: Kind<T>, help: string): Setting<T> & { flagOnly: true } => ({
  ...{ kind, help },
  flagOnly: true
})

/** By which lists and counts are narrowed. */
export const narrowing = {
  endpoint: flag(anyText('ID'), 'only this endpoint'),
  upstream: flag(anyText('NAME'), 'only this gateway'),
  principal: flag(anyText('NAME'), 'only this principal'),
  conversation: flag(anyText('KEY'), 'only this conversation')
} satisfies Schema

/** A place in the events. */
export const sinceCursor = anyText('CURSOR')
