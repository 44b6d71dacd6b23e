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
