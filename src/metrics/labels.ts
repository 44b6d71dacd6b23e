// Owns label values that clients can choose: a bounded number of them become labels, and all others share the label `other`.
import { isPrintable } from '../mcp/stored-ids.js'

/** The label of every text that got none of its own. */
export const OTHER = 'other'

/** How many endpoints get labels of their own. Chosen: each label is several time series in Prometheus. */
export const MAX_ENDPOINTS = 100

/** Gateways with counts of their own. Chosen: as many as the settings may name; those of a DNS name come and go. */
export const MAX_UPSTREAMS = 256

/** A longer text gets no label. As long as a stored id (`schema.sql`). */
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

  /** The labels in use, without `other`. */
  get names(): readonly string[] {
    return this.#names.slice(1)
  }

  /** Whether no further text gets a label. */
  get isFull(): boolean {
    return this.#names.length > this.#max
  }

  /** Gives the text a label if there is room. Returns the index of its label. */
  add(text: string): number {
    const known = this.#indexes.get(text)
    if (known !== undefined) return known
    if (this.isFull || text.length > MAX_LENGTH || !isPrintable(text)) return 0
    this.#indexes.set(text, this.#names.length)
    return this.#names.push(text) - 1
  }

  /** The index of the text's label; 0 (`other`) where it has none. */
  indexOf(text: string): number {
    return this.#indexes.get(text) ?? 0
  }

  /** The label with this index. */
  at(index: number): string {
    return this.#names[index]!
  }

  /** The label of the text. */
  of(text: string): string {
    return this.at(this.indexOf(text))
  }
}

/** The revisions of MCP. The empty label, which to Prometheus is none, stands for an unknown revision. */
export const protocolVersions = (): BoundedLabels =>
  new BoundedLabels(6, ['', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'])
