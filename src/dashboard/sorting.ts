// Owns by what the list of sessions is sorted, and how.
import { clientLabel, type ListedSession, newestFirst } from './sessions.js'

/** What a session is sorted by in each column; texts in any case of letters. */
const keys = {
  client: session => clientLabel(session).toLowerCase(),
  endpoint: session => session.endpointId.toLowerCase(),
  transport: session => session.transport,
  address: session => session.address,
  opened: session => session.connectedAt,
  duration: (session, now) => (session.ended?.at ?? now) - session.connectedAt,
  requests: session => session.requestCount,
  calls: session => session.callCount,
  errors: session => session.errorCount,
  bytes: session => session.bytesIn + session.bytesOut,
  // Open ones first, by their last use; then the reasons.
  state: session =>
    session.ended ? `1${session.ended.reason}` : `0${String(session.lastSeenAt).padStart(16, '0')}`
} satisfies Record<string, (session: ListedSession, now: number) => string | number>

/** A column of the list. */
export type ColumnName = keyof typeof keys

export const columnNames = Object.keys(keys) as ColumnName[]

/** How a list or table is sorted. */
export interface SortedBy<Column> {
  column: Column
  isDescending: boolean
}
export type Sorting = SortedBy<ColumnName>

/** Newest first. */
export const defaultSorting: Sorting = { column: 'opened', isDescending: true }

/** Whether the list is in the order in which the admin port lists. */
export const isDefault = ({ column, isDescending }: Sorting): boolean =>
  column === defaultSorting.column && isDescending

const largestFirst = new Set<ColumnName>(['opened', 'duration', 'requests', 'calls', 'errors', 'bytes'])

/** After a column was chosen: its other direction if it was chosen before; else large numbers first, or texts from A on. */
export const sortedByChosen = <Column>(
  { column, isDescending }: SortedBy<Column>,
  chosen: Column,
  largestFirst: ReadonlySet<Column>
): SortedBy<Column> => ({
  column: chosen,
  isDescending: chosen === column ? !isDescending : largestFirst.has(chosen)
})

/** After a column of the list was chosen. */
export const chooseColumn = (sorting: Sorting, chosen: ColumnName): Sorting =>
  sortedByChosen(sorting, chosen, largestFirst)

/** `sessions`: newest first. Those that are equal stay in that order. */
export function sorted(
  sessions: readonly ListedSession[],
  sorting: Sorting,
  now: number
): readonly ListedSession[] {
  if (isDefault(sorting)) return sessions
  const keyOf = keys[sorting.column]
  const sign = sorting.isDescending ? -1 : 1
  const keyed = sessions.map(session => ({ session, key: keyOf(session, now) }))
  keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : newestFirst(a.session, b.session)))
  return keyed.map(({ session }) => session)
}
