// Owns the form in which a series passes from thread to thread: as objects, the points would cost the receiving thread ten
// times as much.
import type { StoredId } from '../../mcp/stored-ids.js'
import type { SeriesPoint } from '../store-port.js'

/** Points in order: how many follow each other of one endpoint, and five numbers for each point. */
export interface PackedPoints {
  runs: { endpointId: StoredId; points: number }[]
  numbers: Float64Array
}

/** `time`, `connectNum`, `opened`, `closed`, `peak` (NaN: null). */
const NUMBERS = 5

/** The packed form of points. */
export function pack(points: readonly SeriesPoint[]): PackedPoints {
  const runs: PackedPoints['runs'] = []
  const numbers = new Float64Array(points.length * NUMBERS)
  let i = 0
  for (const { time, endpointId, connectNum, opened, closed, peak } of points) {
    const last = runs.at(-1)
    if (last?.endpointId === endpointId) last.points++
    else runs.push({ endpointId, points: 1 })
    numbers[i++] = time
    numbers[i++] = connectNum
    numbers[i++] = opened
    numbers[i++] = closed
    numbers[i++] = peak ?? NaN
  }
  return { runs, numbers }
}

/** The points that `pack` packed. */
export function unpack({ runs, numbers }: PackedPoints): SeriesPoint[] {
  const unpacked: SeriesPoint[] = []
  let i = 0
  for (const { endpointId, points } of runs) {
    for (const end = i + points * NUMBERS; i < end; i += NUMBERS) {
      const peak = numbers[i + 4]!
      unpacked.push({
        time: numbers[i]!,
        endpointId,
        connectNum: numbers[i + 1]!,
        opened: numbers[i + 2]!,
        closed: numbers[i + 3]!,
        peak: Number.isNaN(peak) ? null : peak
      })
    }
  }
  return unpacked
}
