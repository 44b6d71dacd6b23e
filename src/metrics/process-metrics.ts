// Owns the metrics of this process: those of prom-client, without the ones that would block the event loop of a process with
// ten thousand sockets.
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Aggregator, Metric } from './metric.js'

/** Left out: to count them, Node or prom-client lists all sockets, or all open files. */
const LEFT_OUT = [
  'process_open_fds',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total'
]

/** Metrics of which the worst or the latest process matters; prom-client would take the average, or the first one. */
const AGGREGATORS: Record<string, Aggregator> = {
  process_start_time_seconds: 'max',
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_max_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max'
}

/** Starts to collect; call it once in a process. Returns a function that reads the metrics. */
export function processMetrics(): () => Promise<Metric[]> {
  const register = new Registry()
  collectDefaultMetrics({ register })
  LEFT_OUT.forEach(name => register.removeSingleMetric(name))
  return async () => {
    const metrics = (await register.getMetricsAsJSON()) as unknown as Metric[]
    return metrics.map(metric => ({
      ...metric,
      // A metric of which nothing was observed is NaN, which JSON cannot hold.
      values: metric.values.filter(({ value }) => Number.isFinite(value)),
      aggregator: AGGREGATORS[metric.name] ?? metric.aggregator
    }))
  }
}
