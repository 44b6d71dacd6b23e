// Owns the conditions of SQL for the sessions that are asked for.
import type { SessionsFilter } from '../../store-port.js'
import type { Fragment } from '../fragments.js'

/** Conditions for the rows that a filter asks for; none for one that asks for all. */
export function narrowing(filter: SessionsFilter): Fragment[] {
  const by: [column: string, value: string | number | undefined][] = [
    ['endpoint_id', filter.endpointId],
    ['transport_type', filter.transport],
    ['upstream', filter.upstream],
    ['principal', filter.principal],
    ['conversation', filter.conversation]
  ]
  return by.flatMap(([column, value]) =>
    value === undefined ? [] : [{ text: `${column} = ?`, params: [value] }]
  )
}
