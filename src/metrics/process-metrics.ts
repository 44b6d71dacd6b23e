// Owns the figures of this process: prom-client's own, but for those that would hold up the event loop of a process with
// ten thousand sockets, or have names that Prometheus advises against.
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Aggregator, Metric } from './metric.js'

/** They list all sockets, or all open files. */
const LEFT_OUT = [
  'process_open_fds',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total'
]

/** Where prom-client's way to make one figure of several processes' hides what matters: the worst, the youngest. */
const AGGREGATORS: Record<string, Aggregator> = {
  process_start_time_seconds: 'max',
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_max_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max'
}

/** To be called once. */
export function processMetrics(): () => Promise<Metric[]> {
  const register = new Registry()
  collectDefaultMetrics({ register })
  LEFT_OUT.forEach(name => register.removeSingleMetric(name))
  return async () => {
    const metrics = (await register.getMetricsAsJSON()) as unknown as Metric[]
    return metrics.map(metric => ({
      ...metric,
      // What nothing was observed of is not a number, which does not outlive JSON.
      values: metric.values.filter(({ value }) => Number.isFinite(value)),
      aggregator: AGGREGATORS[metric.name] ?? metric.aggregator
    }))
  }
}
