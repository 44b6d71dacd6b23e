// Owns how bars over time are laid out in lanes, so that none covers another.

/** From when to when, in epoch ms. */
export interface Bar {
  start: number
  end: number
}

/** The lane of each bar, from 0 on: the first one that is free for at least `gapMs`. `bars`: by their start. */
export function lanesOf(bars: readonly Bar[], gapMs: number): number[] {
  const freeFrom: number[] = []
  return bars.map(({ start, end }) => {
    const free = freeFrom.findIndex(at => at <= start)
    const lane = free === -1 ? freeFrom.length : free
    freeFrom[lane] = Math.max(start, end) + gapMs
    return lane
  })
}
