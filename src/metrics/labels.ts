// Owns label values that strangers may choose: so many of them are kept, and all others are one.

import { isPrintable } from '../mcp/stored-ids.js'

/** The label of all that has none of its own. */
export const OTHER = 'other'

/** Endpoints that have labels of their own. */
export const MAX_ENDPOINTS = 100

const MAX_LENGTH = 255

/** The first texts seen, up to a number; they keep their labels as long as the process lives. */
export class BoundedLabels {
  /** By index; the first one is `other`. */
  readonly #names = [OTHER]
  readonly #indexes = new Map([[OTHER, 0]])
  readonly #max: number

  constructor(max: number, known: readonly string[] = []) {
    this.#max = max
    known.forEach(name => this.add(name))
  }

  /** Without `other`. */
  get names(): readonly string[] {
    return this.#names.slice(1)
  }

  get isFull(): boolean {
    return this.#names.length > this.#max
  }

  /** Gives the text a label, if there is room; its index. */
  add(text: string): number {
    const known = this.#indexes.get(text)
    if (known !== undefined) return known
    if (this.isFull || text.length > MAX_LENGTH || !isPrintable(text)) return 0
    this.#indexes.set(text, this.#names.length)
    return this.#names.push(text) - 1
  }

  /** 0 where the text has no label. */
  indexOf(text: string): number {
    return this.#indexes.get(text) ?? 0
  }

  /** Of an index. */
  at(index: number): string {
    return this.#names[index]!
  }

  of(text: string): string {
    return this.at(this.indexOf(text))
  }
}

/** MCP's revisions; an empty label is as none: it is not known. */
export const protocolVersions = (): BoundedLabels =>
  new BoundedLabels(6, ['', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'])
