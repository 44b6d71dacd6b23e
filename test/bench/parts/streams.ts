// Owns the figures of event streams: memory of an idle one, and the CPU that events on all of them take.
import { setTimeout as delay } from 'node:timers/promises'
import { HTTP_PROXY, NGINX, type Peer, THIS } from '../peers.js'
import { Helper, node, OTHER_CPU, type Process } from '../processes.js'
import type { Report } from '../report.js'
import { MAX_STREAMS } from '../sizes.js'
import type { StreamsState } from '../streams-client.js'
import { load, startUpstream } from './set-up.js'

const COMPARED = [THIS, HTTP_PROXY, NGINX]
/** Events a second on each stream, on so many streams that it is the same number of events. */
const RATES = [2, 20, 200] as const
const EVENTS_PER_S = MAX_STREAMS * RATES[0]
/** Streams that nothing comes on; V8 gives memory back when there was nothing to do for a while. */
const SETTLE_MS = 15_000
const MEASURE_MS = 5_000

export async function measureStreams(report: Report, peers: readonly Peer[]): Promise<void> {
  const compared = peers.filter(peer => COMPARED.includes(peer.name))
  const bytes = new Map<string, number>()
  const busy = RATES.map(() => new Map<string, number>())
  const delivered = RATES.map(() => new Map<string, number>())
  report.section(`${MAX_STREAMS} event streams`)
  for (const { name, start } of compared) {
    const upstream = await startUpstream()
    const proxy = await start(upstream.url)
    await load(`${proxy.url}/stream/json`, 8, 500)
    const rssBefore = proxy.rssBytes()
    for (const [i, rate] of RATES.entries()) {
      const clients = await openStreams(proxy, EVENTS_PER_S / rate)
      if (i === 0) {
        await delay(SETTLE_MS)
        bytes.set(name, (proxy.rssBytes() - rssBefore) / MAX_STREAMS / 1024)
      }
      await load(`${upstream.url}/stream/rate/${rate}`, 1, 0)
      await clients.ask()
      const [cpuBefore, from] = [proxy.cpuUs(), performance.now()]
      await delay(MEASURE_MS)
      const { events } = await clients.ask()
      const elapsedMs = performance.now() - from
      busy[i]!.set(name, (proxy.cpuUs() - cpuBefore) / elapsedMs / 10)
      delivered[i]!.set(name, (events / elapsedMs) * 1000)
      await clients.stop()
    }
    await proxy.stop()
    await upstream.stop()
  }
  report.row('memory a stream, KB', bytes, 1)
  for (const [i, rate] of RATES.entries()) {
    report.section(`${EVENTS_PER_S / rate} event streams with ${rate} events a second each`)
    report.row('CPU, %', busy[i]!)
    report.row(`events delivered a second, of ${EVENTS_PER_S}`, delivered[i]!)
  }
}

/** Clients that hold so many streams, all of them open. */
async function openStreams({ url }: Process, count: number): Promise<Helper<StreamsState>> {
  const program = node('./streams-client.js', `${url}/stream/stream`, count)
  const clients = new Helper<StreamsState>(OTHER_CPU, program)
  const { open } = await clients.read()
  if (open !== count) throw new Error(`${url}: only ${open} streams are open`)
  return clients
}
