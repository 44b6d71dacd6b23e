// Owns the content of /metrics, and of what is pushed: the metrics of all processes added up, those of the store, and the version.
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreReader } from '../ledger/store-port.js'
import { transportNames } from '../mcp/transports.js'
import { Exposition, type Snapshot } from '../metrics/exposition.js'
import { BoundedLabels, MAX_ENDPOINTS, MAX_UPSTREAMS, OTHER } from '../metrics/labels.js'
import { gauge, type Labels, type Metric, sample, type Value } from '../metrics/metric.js'
import { ExpiringCache } from '../util/expiring-cache.js'

/** How long a scrape waits for the store. Chosen: far below the 10 s after which Prometheus gives up by default. */
const STORE_TIMEOUT_MS = 2_000
/** The store is read at most once in this time, however many scrapers there are. Chosen. */
const CENSUS_KEPT_MS = 1_000

/** Reads the metrics of each process of the proxy, in the order of their slots; undefined for one that does not respond. */
export type Snapshots = () => Promise<(Snapshot | undefined)[]>

/** Puts together the text of /metrics. */
export class Scrape {
  readonly #store: Pick<StoreReader, 'busiest' | 'census'>
  readonly #snapshots: Snapshots
  readonly #build: Metric
  readonly #hostMetrics: () => Metric[]
  readonly #exposition = new Exposition()
  readonly #census = new ExpiringCache<Metric[]>(CENSUS_KEPT_MS, 1)
  /** Gateways by DNS come and go, each with another name. */
  readonly #upstreams = new BoundedLabels(MAX_UPSTREAMS)
  #isLabelled = false
  /** Labels under which sessions were open before: exposed as 0 when there are none any more. */
  readonly #seen = new Map<string, Labels>()

  constructor(store: StoreReader, snapshots: Snapshots, version: string, hostMetrics: () => Metric[]) {
    this.#hostMetrics = hostMetrics
    this.#store = store
    this.#snapshots = snapshots
    const labels = { version, node_version: process.version }
    this.#build = gauge('turnstile_build_info', '1, with what runs as labels.', [sample(1, labels)])
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    return await this.#exposition.text(...(await this.#read()))
  }

  /** The same as data. */
  async metrics(): Promise<Metric[]> {
    return this.#exposition.metrics(...(await this.#read()))
  }

  async #read(): Promise<[(Snapshot | undefined)[], Metric[]]> {
    const [snapshots, sessions] = await Promise.all([this.#snapshots(), this.#sessions()])
    const processes = snapshots.filter(snapshot => snapshot !== undefined).length
    const answering = gauge('turnstile_processes', 'Processes of this proxy that answer.', processes)
    return [snapshots, [this.#build, answering, ...this.#hostMetrics(), ...sessions]]
  }

  /** The metrics of the store; without them where it cannot be read in time. */
  async #sessions(): Promise<Metric[]> {
    const counting = this.#census.get('census', () => this.#count()).catch(() => [])
    const metrics = await Promise.race([counting, sleep(STORE_TIMEOUT_MS, [], { ref: false })])
    const isReadable = Number(metrics.length > 0)
    return [...metrics, gauge('turnstile_store_readable', '1: the store answers queries.', isReadable)]
  }

  /** From when on there were several gateways, sessions are counted by gateway. */
  #label(upstreams: readonly (string | null)[]): void {
    for (const upstream of upstreams) if (upstream !== null) this.#upstreams.add(upstream)
    if (this.#isLabelled || this.#upstreams.names.length < 2) return
    this.#isLabelled = true
    this.#seen.clear()
  }

  async #count(): Promise<Metric[]> {
    const { endpoints } = this.#exposition
    if (!endpoints.isFull)
      for (const name of await this.#store.busiest({ limit: MAX_ENDPOINTS })) endpoints.add(name)
    const { open, endpointNum, drift } = await this.#store.census({ named: endpoints.names })
    const values = new Map<string, Value>()
    this.#label(open.map(({ upstream }) => upstream))
    for (const { endpointId, transport: type, upstream, openNum } of open) {
      const labels: Labels = { endpoint: endpointId ?? OTHER, transport: transportNames[type] }
      if (this.#isLabelled && upstream !== null) labels.upstream = this.#upstreams.of(upstream)
      const key = Object.values(labels).join('\n')
      values.set(key, sample(openNum + (values.get(key)?.value ?? 0), labels))
      this.#seen.set(key, labels)
    }
    for (const [key, labels] of this.#seen) if (!values.has(key)) values.set(key, sample(0, labels))
    return [
      gauge('turnstile_sessions_active', 'Open sessions in the store, those of all proxies.', [
        ...values.values()
      ]),
      gauge('turnstile_endpoints', 'Endpoints in the store, which --max-endpoints bounds.', endpointNum),
      gauge(
        'turnstile_sessions_drift',
        'By how much connect_num and the open sessions in the store differ; other than 0 is a fault: run mcp-turnstile check.',
        drift
      )
    ]
  }
}
