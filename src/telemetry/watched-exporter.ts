// Owns what the log says of exports: a line when they begin to fail, one a minute meanwhile, and one when they succeed again.
import { reasonOf } from '../util/errors.js'
import type { Log } from '../util/log.js'
import { OutageLog } from '../util/outage-log.js'
import { type ExportResult, ExportResultCode } from './opentelemetry.js'

interface Exporter<Items> {
  export(items: Items, done: (result: ExportResult) => void): void
}

/** The same exporter; `what` it exports, for people. The SDK drops what could not be exported. */
export function watched<Items, E extends Exporter<Items>>(
  exporter: E & Exporter<Items>,
  what: string,
  log: Log
): E {
  const outage = new OutageLog(log, {
    failing: `${what} cannot be exported over OTLP`,
    recovered: `${what} are exported over OTLP again`
  })
  const send = exporter.export.bind(exporter)
  exporter.export = (items, done) =>
    send(items, result => {
      if (result.code === ExportResultCode.SUCCESS) outage.recovered()
      else outage.failed({ reason: reasonOf(result.error) })
      done(result)
    })
  return exporter
}
