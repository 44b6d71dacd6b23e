// Owns pieces of SQL with what is bound in them.
import type { Param } from './sql-database.js'

/** SQL text and what is bound in it. */
export interface Fragment {
  text: string
  params: Param[]
}

export const joined = (fragments: readonly Fragment[], separator: string): Fragment => ({
  text: fragments.map(fragment => fragment.text).join(separator),
  params: fragments.flatMap(fragment => fragment.params)
})
