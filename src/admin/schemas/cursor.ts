// Owns the cursor of paged responses: the position of a page's last row, as opaque text.
import type { EpochMs } from '../../util/time.js'
import { isStorable } from './query-time.js'

/** A place in the list of sessions. Rows come in the order of (connectAt, id), both falling. */
export interface Position {
  connectAt: EpochMs
  id: number
}

/** The text that `decodeCursor` reads. */
export const encodeCursor = ({ connectAt, id }: Position): string =>
  Buffer.from(`${connectAt}.${id}`).toString('base64url')

/** Undefined for anything that `encodeCursor` did not make. */
export function decodeCursor(text: string): Position | undefined {
  const [, connectAt, id] = /^(-?\d+)\.(\d+)$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
  const position = { connectAt: Number(connectAt), id: Number(id) }
  const made =
    isStorable(position.connectAt) && Number.isSafeInteger(position.id) && encodeCursor(position) === text
  return made ? position : undefined
}

/** A place in the list of principals, which comes in the order of these, all falling. */
export interface PrincipalPosition {
  activeNum: number
  sessionNum: number
  id: number
}

/** The text that `decodePrincipalCursor` reads. */
export const encodePrincipalCursor = ({ activeNum, sessionNum, id }: PrincipalPosition): string =>
  Buffer.from(`${activeNum}.${sessionNum}.${id}`).toString('base64url')

/** Undefined for anything that `encodePrincipalCursor` did not make. */
export function decodePrincipalCursor(text: string): PrincipalPosition | undefined {
  const numbers = /^(\d+)\.(\d+)\.(\d+)$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
  const [activeNum = NaN, sessionNum = NaN, id = NaN] = numbers.slice(1).map(Number)
  const position = { activeNum, sessionNum, id }
  const made =
    [activeNum, sessionNum, id].every(Number.isSafeInteger) && encodePrincipalCursor(position) === text
  return made ? position : undefined
}
