// Owns the log of a process or thread: JSON lines on standard output that never hold it up, with the warnings of Node.
import { type Logger, pino } from 'pino'
import { type Metric, counter } from '../metrics/metric.js'
import { DroppedLines, LineWriter } from '../util/log-lines.js'

/** Where a process or thread logs. */
export interface ProcessLog {
  readonly logger: Logger
  /** Counts for the whole process. */
  readonly dropped: DroppedLines
  readonly stdout: LineWriter
  readonly stderr: LineWriter
}

/** `level` as pino names it; `dropped` is that of the process where this is a thread of it. */
export function startProcessLog(level: string, dropped = new DroppedLines()): ProcessLog {
  const stdout = new LineWriter(1, dropped)
  const logger = pino({ level }, stdout)
  // Node writes them to standard error, and would wait for its reader.
  process.removeAllListeners('warning')
  process.on('warning', warning => logger.warn({ err: warning }, 'a warning of Node'))
  return { logger, dropped, stdout, stderr: new LineWriter(2, dropped) }
}

/** The metric of one process. */
export const droppedLinesMetric = (dropped: DroppedLines): Metric =>
  counter(
    'turnstile_log_lines_dropped_total',
    'Log lines that were dropped because standard output or standard error could not be written.',
    dropped.count
  )
