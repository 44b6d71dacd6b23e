// Owns pieces of SQL together with the values that are bound in them.
import type { Param } from './sql-database.js'

/** SQL text and the values of its `?`, in order. */
export interface Fragment {
  text: string
  params: Param[]
}

/** One fragment of many, with `separator` between their texts. */
export const joined = (fragments: readonly Fragment[], separator: string): Fragment => ({
  text: fragments.map(fragment => fragment.text).join(separator),
  params: fragments.flatMap(fragment => fragment.params)
})
