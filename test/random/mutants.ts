// Owns whether the random driver finds faults: each planted one, in a copy of `dist/`, must be found. Run it with
// `node dist/test/random/mutants.js`; SEED and SECONDS (60 for each) are those of `run.ts`.
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const mutations = [
  {
    what: 'no `gone` is taken back',
    file: 'src/ledger/model/merge.js',
    from: 'after.goneAt = after.goneAt.filter(at => at > provedAt)',
    to: ''
  },
  {
    what: 'a made-up session id in a request of a revision without sessions is counted',
    file: 'src/sessions/session-actions.js',
    from: "claim: { unknown: 'ignore'",
    to: "claim: { unknown: 'open'"
  },
  {
    what: 'the refusal of a PUT ends a session',
    file: 'src/sessions/signals.js',
    from: "method === 'POST' || method === 'DELETE'",
    to: 'true'
  }
]

const dist = join(import.meta.dirname, '..', '..')
const copy = `${dist}-mutant`
let found = 0
for (const { what, file, from, to } of mutations) {
  rmSync(copy, { recursive: true, force: true })
  cpSync(dist, copy, { recursive: true })
  const source = readFileSync(join(copy, file), 'utf8')
  if (source.split(from).length !== 2) throw new Error(`${file} does not have it once: ${from}`)
  writeFileSync(join(copy, file), source.replace(from, to))
  const env = { SECONDS: '60', ...process.env }
  const { status, stdout } = spawnSync(process.execPath, [join(copy, 'test/random/run.js')], {
    env,
    encoding: 'utf8'
  })
  const problem = /^PROBLEM: [^:(]*/m.exec(stdout)?.[0]
  if (status === 1 && problem !== undefined) found++
  console.log(`${what}: ${problem ?? `not found (exit code ${status})`}, ${/^seed \d+/.exec(stdout)?.[0]}`)
}
rmSync(copy, { recursive: true, force: true })
console.log(`${found} passed, ${mutations.length - found} failed`)
process.exitCode = found === mutations.length ? 0 : 1
