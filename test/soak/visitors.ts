// Owns a process full of clients, one visit after the other until it is killed. Arguments: count, seed, and the base URL
// of each gateway by its name, as JSON. Prints a line for each session
// it is told of, at once, and one for each visit that did not go as it should.
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../support/random.js'
import { manners, visit } from './visit.js'

/** They do not all come in the same moment. */
const ARRIVE_WITHIN_MS = 10_000

const [count, seed, urls] = process.argv.slice(2) as [string, string, string]
const gateways = JSON.parse(urls) as Record<keyof typeof manners, string>

for (let i = 0; i < Number(count); i++) void client(new Random(Number(seed) + i), i)

async function client(random: Random, i: number): Promise<void> {
  const gateway = i % 2 === 0 ? 'gateway-rmcp3' : 'gateway-rmcp0'
  await sleep(random.int(0, ARRIVE_WITHIN_MS))
  for (;;) {
    const manner = random.pick(manners[gateway])
    try {
      await visit(gateways[gateway], manner, random, (...session) => console.log('told', gateway, ...session))
    } catch (error) {
      console.log('failed', `${gateway}, ${manner}: ${String(error)}`)
      await sleep(1_000)
    }
  }
}
