// Owns `npm run bench`: this proxy and its peers, one table. `npm run bench -- cpu streams` runs only these parts, and
// `--peers this,http-proxy` only these peers.
import { cpus, loadavg, release } from 'node:os'
import { parseArgs } from 'node:util'
import { measureBodies } from './parts/bodies.js'
import { measureCpu } from './parts/cpu.js'
import { measureGateway } from './parts/gateway.js'
import { DIRECT, DIRECT_FRESH } from './parts/set-up.js'
import { measureStreams } from './parts/streams.js'
import { measureWorkers } from './parts/workers.js'
import { peers as allPeers } from './peers.js'
import { Report } from './report.js'

const parts = {
  cpu: measureCpu,
  gateway: measureGateway,
  streams: measureStreams,
  bodies: measureBodies,
  workers: measureWorkers
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { peers: { type: 'string' } }
})
const wanted = values.peers?.split(',')
const peers = allPeers.filter(({ name }) => wanted?.includes(name) ?? true)
const chosen = Object.entries(parts).filter(
  ([name]) => positionals.length === 0 || positionals.includes(name)
)
if (chosen.length === 0 || positionals.some(name => !(name in parts)))
  throw new Error(`The parts are ${Object.keys(parts).join(', ')}`)
if (process.platform !== 'linux' || cpus().length < 2)
  throw new Error('The benchmarks need Linux and two CPUs')

const installed = peers.filter(({ version }) => version !== undefined)
const report = new Report([...installed.map(({ name }) => name), DIRECT, DIRECT_FRESH])
const loadBefore = loadavg()[0]!
for (const [, measure] of chosen) await measure(report, installed)

const versions = peers.map(({ name, version }) => `${name} ${version ?? 'is missing'}`)
console.log(
  [
    `${new Date().toISOString().slice(0, 16)}Z, node ${process.version}, Linux ${release()}, ${cpus().length} × ${cpus()[0]!.model}, ` +
      `load average ${loadBefore.toFixed(1)} before and ${loadavg()[0]!.toFixed(1)} after`,
    versions.join(', '),
    '',
    report.toString()
  ].join('\n')
)
