// Owns the figures of event streams: memory of an idle one, and the CPU that events on all of them take.
import { setTimeout as delay } from 'node:timers/promises'
import { HTTP_PROXY, NGINX, type Peer, THIS } from '../peers.js'
import { Helper, node, OTHER_CPU } from '../processes.js'
import type { Report } from '../report.js'
import { MAX_STREAMS } from '../sizes.js'
import type { StreamsState } from '../streams-client.js'
import { load, startUpstream } from './set-up.js'

const COMPARED = [THIS, HTTP_PROXY, NGINX]
const EVENTS_PER_S = 2
/** Streams that nothing comes on; V8 gives memory back when there was nothing to do for a while. */
const SETTLE_MS = 15_000
const MEASURE_MS = 5_000

export async function measureStreams(report: Report, peers: readonly Peer[]): Promise<void> {
  report.section(`${MAX_STREAMS} event streams`)
  const bytes = new Map<string, number>()
  const busy = new Map<string, number>()
  const delivered = new Map<string, number>()
  for (const { name, start } of peers.filter(peer => COMPARED.includes(peer.name))) {
    const upstream = await startUpstream()
    const proxy = await start(upstream.url)
    await load(`${proxy.url}/stream/json`, 8, 500)
    const rssBefore = proxy.rssBytes()
    const clients = new Helper<StreamsState>(
      OTHER_CPU,
      node('./streams-client.js', `${proxy.url}/stream/stream`, MAX_STREAMS)
    )
    const { open } = await clients.read()
    if (open !== MAX_STREAMS) throw new Error(`${name}: only ${open} streams are open`)
    await delay(SETTLE_MS)
    bytes.set(name, (proxy.rssBytes() - rssBefore) / MAX_STREAMS / 1024)

    await load(`${upstream.url}/stream/rate/${EVENTS_PER_S}`, 1, 0)
    await clients.ask()
    const [cpuBefore, from] = [proxy.cpuUs(), performance.now()]
    await delay(MEASURE_MS)
    const { events } = await clients.ask()
    const elapsedMs = performance.now() - from
    busy.set(name, (proxy.cpuUs() - cpuBefore) / elapsedMs / 10)
    delivered.set(name, (events / elapsedMs) * 1000)
    await clients.stop()
    await proxy.stop()
    await upstream.stop()
  }
  report.row('memory a stream, KB', bytes, 1)
  report.row(`CPU at ${EVENTS_PER_S} events a second on each, %`, busy)
  report.row(`events delivered a second, of ${MAX_STREAMS * EVENTS_PER_S}`, delivered)
}
