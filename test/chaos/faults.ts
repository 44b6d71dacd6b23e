// Owns the faults: a schedule drawn from the seed, its execution, and how often each of them really happened.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../support/mariadb.js'
import type { Random } from '../support/random.js'
import { type Member, LEASE_MS } from './fleet.js'
import type { ChaosGateway, Gateways } from './gateways.js'

const SHORT_MS = [0, 1_500] as const
/** Others conclude that a lease is over only after as long without a fault of their own. */
const LONG_MS = [LEASE_MS + 2_000, LEASE_MS + 6_000] as const
/** A process frozen in a transaction keeps its locks, its own row's too, until the database ends it after 3 s. */
const LOCKS_MS = [3_500, LEASE_MS] as const
/** The end of a run, in which one proxy is frozen and nothing else is wrong. */
const FINALE_MS = 20_000
/** The streams of a frozen proxy are lost by then, on a machine however slow. */
const LOST_TIMEOUT_MS = 40_000
/** Longer than a proxy or the database is away. */
const RECONNECT_TIMEOUT_MS = 20_000
const DATABASE_RESTART_TIMEOUT_MS = 120_000

type Range = readonly [number, number]

/** What can happen to one thing, one at a time: each in turn, shuffled, with a gap between two. */
const decks = {
  proxy: {
    gapMs: [1_500, 5_500] as Range,
    faults: [
      ['killed, back soon', SHORT_MS],
      ['killed, back after its lease', LONG_MS],
      ['frozen shortly', SHORT_MS],
      ['frozen beyond its lease', LONG_MS],
      ['frozen beyond its locks', LOCKS_MS],
      ['killed while frozen', LONG_MS]
    ]
  },
  wire: {
    gapMs: [500, 4_500] as Range,
    faults: [
      ['COMMIT cut from its answer', [0, 0]],
      ['COMMIT cut from its answer', [0, 0]],
      ['COMMIT cut under way', [0, 0]],
      ['COMMIT cut off', [0, 0]],
      ['connections cut', [0, 0]],
      ['no connections', [200, LEASE_MS + 1_000]],
      ['stalled', [200, LEASE_MS + 1_000]]
    ]
  },
  database: {
    gapMs: [6_000, 12_000] as Range,
    faults: [
      ['database killed', [0, 3_000]],
      ['database killed', [0, 3_000]],
      ['database silent', [LEASE_MS - 1_000, LEASE_MS + 3_000]]
    ]
  },
  gateway: {
    gapMs: [8_000, 20_000] as Range,
    faults: [
      ['gateway restarted', [0, 500]],
      ['gateway restarted', [1_000, 5_000]],
      ['gateway frozen', [500, 8_000]]
    ]
  }
} as const

type Thing = keyof typeof decks
export type FaultName = (typeof decks)[Thing]['faults'][number][0]

interface Fault {
  /** Since the start of the run. */
  atMs: number
  name: FaultName
  lastsMs: number
}

/** The faults of one thing, for a run of `runMs`. */
export function schedule(thing: Thing, runMs: number, random: Random): Fault[] {
  const { gapMs, faults } = decks[thing]
  const planned: Fault[] = []
  let atMs = random.int(...gapMs)
  while (atMs < runMs) {
    for (const [name, range] of random.shuffle<readonly [FaultName, Range]>(faults)) {
      const lastsMs = random.int(...range)
      if (atMs < runMs) planned.push({ atMs, name, lastsMs })
      atMs += lastsMs + random.int(...gapMs)
    }
  }
  return planned
}

export class Faults {
  readonly #fleet: readonly Member[]
  readonly #database: Database
  readonly #gateways: Gateways
  readonly #startedAt = Date.now()
  readonly #happened = new Map<FaultName, number>()

  constructor(fleet: readonly Member[], database: Database, gateways: Gateways) {
    this.#fleet = fleet
    this.#database = database
    this.#gateways = gateways
  }

  /** Runs all schedules, and the finale; at the end everything lives, is thawed and connected. */
  async run(runMs: number, random: Random): Promise<void> {
    const mixedMs = runMs - FINALE_MS
    await Promise.all([
      this.#follow('database', schedule('database', mixedMs, random), fault => this.#disturbDatabase(fault)),
      ...this.#gateways.all.map(gateway =>
        this.#follow(gateway.name, schedule('gateway', mixedMs, random), fault =>
          this.#disturbGateway(gateway, fault)
        )
      ),
      ...this.#fleet.flatMap(member => [
        this.#follow(member.name, schedule('proxy', mixedMs, random), fault => this.#disturb(member, fault)),
        this.#follow(member.name, schedule('wire', mixedMs, random), fault =>
          this.#disturbWire(member, fault)
        )
      ])
    ])
    for (const { wire } of this.#fleet) wire.disarm()
    await sleep(FINALE_MS / 4)
    await this.#loseStreams(random.pick(this.#fleet))
    await sleep(FINALE_MS / 4)
  }

  /** Freezes a proxy until another has taken its streams for lost. */
  async #loseStreams(member: Member): Promise<void> {
    const lost = (): number => this.#fleet.reduce((sum, { streamsLost }) => sum + streamsLost, 0)
    const before = lost()
    const deadline = Date.now() + LOST_TIMEOUT_MS
    member.freeze()
    while (lost() === before && Date.now() < deadline) await sleep(100)
    member.thaw()
  }

  /** How often each fault that was tried really happened. */
  counts(): ReadonlyMap<FaultName, number> {
    const sum = (kind: 'answer' | 'early' | 'before') =>
      this.#fleet.reduce((total, { wire }) => total + wire.commitsCut[kind], 0)
    const cut = new Map<FaultName, number>([
      ['COMMIT cut from its answer', sum('answer')],
      ['COMMIT cut under way', sum('early')],
      ['COMMIT cut off', sum('before')]
    ])
    return new Map(Array.from(this.#happened, ([name, count]) => [name, cut.get(name) ?? count]))
  }

  async #follow(whom: string, faults: Fault[], cause: (fault: Fault) => Promise<boolean>): Promise<void> {
    for (const fault of faults) {
      await sleep(this.#startedAt + fault.atMs - Date.now())
      const lasts = fault.lastsMs > 0 ? ` for ${fault.lastsMs} ms` : ''
      const seconds = ((Date.now() - this.#startedAt) / 1000).toFixed(2).padStart(7)
      console.log(`${seconds} s  ${whom}: ${fault.name}${lasts}`)
      const happened = await cause(fault)
      this.#happened.set(fault.name, (this.#happened.get(fault.name) ?? 0) + Number(happened))
    }
  }

  async #disturb(member: Member, { name, lastsMs }: Fault): Promise<boolean> {
    if (name.startsWith('frozen')) {
      member.freeze()
      await sleep(lastsMs)
      member.thaw()
      return true
    }
    if (name === 'killed while frozen') {
      member.freeze()
      await sleep(lastsMs)
    }
    await member.kill()
    if (name !== 'killed while frozen') await sleep(lastsMs)
    await member.start()
    return true
  }

  async #disturbWire({ wire }: Member, { name, lastsMs }: Fault): Promise<boolean> {
    switch (name) {
      case 'COMMIT cut from its answer':
        wire.armCommit('answer')
        return false
      case 'COMMIT cut under way':
        wire.armCommit('early')
        return false
      case 'COMMIT cut off':
        wire.armCommit('before')
        return false
      case 'connections cut': {
        // There are none while its proxy is dead, or the database was killed under a frozen one.
        const deadline = Date.now() + RECONNECT_TIMEOUT_MS
        while (wire.cut() === 0) {
          if (Date.now() > deadline) return false
          await sleep(100)
        }
        return true
      }
      case 'no connections':
        wire.close()
        break
      default:
        wire.stall()
    }
    await sleep(lastsMs)
    wire.open()
    return true
  }

  async #disturbGateway(gateway: ChaosGateway, { name, lastsMs }: Fault): Promise<boolean> {
    await (name === 'gateway frozen' ? gateway.freeze(lastsMs) : gateway.restart(lastsMs))
    return true
  }

  async #disturbDatabase({ name, lastsMs }: Fault): Promise<boolean> {
    if (name === 'database silent') {
      for (const { wire } of this.#fleet) wire.stall()
      await sleep(lastsMs)
      for (const { wire } of this.#fleet) wire.open()
      return true
    }
    this.#database.kill()
    await sleep(lastsMs)
    // An outgoing connection may have been given its port meanwhile.
    const deadline = Date.now() + DATABASE_RESTART_TIMEOUT_MS
    for (;;) {
      try {
        await this.#database.restart()
        return true
      } catch (error) {
        if (Date.now() > deadline) throw error
        await sleep(500)
      }
    }
  }
}
