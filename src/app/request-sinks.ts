// Owns who takes a request that is over: the access log, and the export of spans. Where nobody does, nothing is made of it.
import { Mask } from '../admin/access/mask.js'
import type { Config } from '../config/settings.js'
import { version } from '../config/version.js'
import type { WriteAccess } from '../proxy/access-entry.js'
import type { DroppedLines } from '../util/log-lines.js'
import type { Log } from '../util/log.js'
import { startAccessLog } from './access-log.js'
import { maskKey } from './mask-key.js'
import { remembered } from './remembered.js'

/** Those of a process. */
export interface RequestSinks {
  /** Undefined: there are none. */
  readonly write: WriteAccess | undefined
  /** Spans are among them. */
  readonly isTraced: boolean
  /** Exports what still waits. */
  close(withinMs: number): Promise<void>
}

/** Starts them. OpenTelemetry is loaded only where spans are exported. Throws `AccessLogError`, and what `maskKey` throws. */
export async function startRequestSinks(
  { otlp, ...config }: Pick<Config, 'accessLog' | 'dataDir' | 'mask' | 'otlp'>,
  dropped: DroppedLines,
  log: Log
): Promise<RequestSinks> {
  const accessLog = startAccessLog(config, dropped, log)
  if (otlp?.traces === undefined)
    return { write: accessLog?.write, isTraced: false, close: () => Promise.resolve() }
  const { startSpans } = await import('../telemetry/start-spans.js')
  const mask = new Mask(maskKey(config.dataDir), config.mask)
  const spans = startSpans({
    protocol: otlp.traces,
    version: version(),
    instanceId: otlp.instanceId,
    maskId: remembered(id => mask.loggedId(id)),
    log
  })
  return {
    write(entry) {
      accessLog?.write(entry)
      spans.write(entry)
    },
    isTraced: true,
    close: withinMs => spans.close(withinMs)
  }
}
