// Owns the history loader: fills an empty store with ten million sessions of 30 days, or as many as asked for.
// node dist/test/bench/history/load.js --store sqlite:/tmp/10m.db --sessions 10000000 --open 20000 --endpoints 1000 --days 30
import { parseArgs } from 'node:util'
import { Random } from '../../support/random.js'
import { fill } from './fill.js'
import { History } from './history.js'

const { values: flags } = parseArgs({
  options: {
    store: { type: 'string' },
    sessions: { type: 'string', default: '10000000' },
    open: { type: 'string', default: '20000' },
    principals: { type: 'string', default: '50000' },
    endpoints: { type: 'string', default: '1000' },
    days: { type: 'string', default: '30' },
    seed: { type: 'string' }
  }
})
if (flags.store === undefined)
  throw new Error('--store is missing: sqlite:FILE or mysql://user:password@host:port/database')

const random = flags.seed === undefined ? new Random() : new Random(Number(flags.seed))
const endAt = Date.now()
console.log(`seed ${random.seed}, history until ${new Date(endAt).toISOString()}`)
const startedMs = performance.now()
const say = (progress: string): void =>
  console.log(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${progress}`)

const history = new History(random, {
  endedSessions: Number(flags.sessions),
  openSessions: Number(flags.open),
  principals: Number(flags.principals),
  endpoints: Number(flags.endpoints),
  days: Number(flags.days),
  endAt
})
await fill(flags.store, history, say)
say('done')
