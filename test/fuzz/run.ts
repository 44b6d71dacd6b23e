// Owns `npm run test:fuzz`: malformed and odd messages on each side of the proxy, and on Socket.IO, beside a client that behaves.
// Environment: FUZZ_MESSAGES (3000; on Socket.IO a tenth), FUZZ_SIDES (all), SEED.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '../support/random.js'
import { fuzz, sides } from './fuzz.js'

const messages = Number(process.env['FUZZ_MESSAGES'] ?? 3_000)
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const wanted = process.env['FUZZ_SIDES']?.split(',') ?? sides
console.log(`seed ${seed}, ${messages} messages`)
let failed = 0
for (const side of sides.filter(side => wanted.includes(side))) {
  const directory = mkdtempSync(join(tmpdir(), 'turnstile-fuzz-'))
  const startedAt = Date.now()
  const count = side === 'socket.io' ? messages / 10 : messages
  const { problems, ...figures } = await fuzz(side, count, new Random(seed), directory)
  console.log(
    side,
    JSON.stringify({ seconds: Math.round((Date.now() - startedAt) / 1_000), ...figures }, undefined, 2)
  )
  for (const problem of problems) console.log(`PROBLEM: ${problem}`)
  failed += problems.length
  rmSync(directory, { recursive: true, force: true })
}
console.log(`seed ${seed}`)
console.log(failed === 0 ? 'passed' : `${failed} problems`)
process.exit(failed === 0 ? 0 : 1)
