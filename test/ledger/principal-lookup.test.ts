// Owns that the sessions of a principal are asked for with what was recorded here before, once for all who wait, and not for ever.
import t from 'tap'
import { PrincipalLookup } from '../../src/ledger/pipeline/principal-lookup.js'
import type { PrincipalSessions } from '../../src/ledger/store-port.js'

const ann = { kind: 'oauth', name: 'ann' } as const
const bob = { kind: 'oauth', name: 'bob' } as const
const LONG_MS = 10_000
const SHORT_MS = 50

/** A store that answers when it is told to. */
class World {
  readonly instance = { id: 'this', boot: 1 }
  lastOffset = 5
  readonly asked: { name: string; answer: (appliedOffset: number) => void; fail: () => void }[] = []
  readonly lookup = new PrincipalLookup(
    {
      principalSessions: ({ principal: { name } }) =>
        new Promise<PrincipalSessions>((resolve, reject) =>
          this.asked.push({
            name,
            answer: appliedOffset => resolve({ appliedOffset, openNum: this.asked.length, rows: [] }),
            fail: () => reject(new Error('away'))
          })
        )
    },
    this
  )

  /** Resolves with the question of this number. */
  async question(number: number): Promise<World['asked'][number]> {
    while (this.asked.length < number) await new Promise(setImmediate)
    return this.asked[number - 1]!
  }
}

// Nothing else keeps the process alive.
const alive = setInterval(() => undefined, LONG_MS)
t.teardown(() => clearInterval(alive))

void t.test('a store that is behind is asked again', async t => {
  const world = new World()
  const reading = world.lookup.read(ann, 0, LONG_MS)
  ;(await world.question(1)).answer(4)
  const second = await world.question(2)
  world.lastOffset = 9
  second.answer(5)
  t.match(await reading, { openNum: 2, isCurrent: true }, 'what is recorded later need not be there')
})

void t.test('all who ask at once share a question, and each principal has its own', async t => {
  const world = new World()
  const reading = [ann, ann, bob, ann].map(principal => world.lookup.read(principal, 0, LONG_MS))
  await world.question(2)
  t.same(
    world.asked.map(({ name }) => name),
    ['ann', 'bob']
  )
  for (const { answer } of world.asked) answer(5)
  t.equal((await Promise.all(reading)).length, 4)
})

void t.test('a store that is silent, behind or away', async t => {
  const silent = new World()
  t.equal(await silent.lookup.read(ann, 0, SHORT_MS), undefined)
  t.equal(await silent.lookup.read(ann, 0, 0), undefined)
  t.equal(silent.asked.length, 1, 'one question waits, however often it is asked')

  const away = new World()
  const refused = away.lookup.read(ann, 0, LONG_MS)
  ;(await away.question(1)).fail()
  t.equal(await refused, undefined)

  const behind = new World()
  const reading = behind.lookup.read(ann, 0, SHORT_MS)
  ;(await behind.question(1)).answer(4)
  t.match(await reading, { openNum: 1, isCurrent: false }, 'what it said last')
})
