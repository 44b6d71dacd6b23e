// Owns bounded concurrency: so many jobs at once, from a queue that fills again (`JobPool`) or from a list (`runAll`).

/** Takes jobs from `next` until it gives undefined, and runs `work` on at most `atOnce` of them at a time. `work` must not reject. */
export class JobPool<Job> {
  readonly #atOnce: number
  readonly #next: () => Job | undefined
  readonly #work: (job: Job) => Promise<unknown>
  #busy = 0

  constructor(atOnce: number, next: () => Job | undefined, work: (job: Job) => Promise<unknown>) {
    this.#atOnce = atOnce
    this.#next = next
    this.#work = work
  }

  /** To be called when there may be jobs again. */
  call(): void {
    while (this.#busy < this.#atOnce) {
      const job = this.#next()
      if (job === undefined) return
      this.#busy++
      void this.#work(job).then(() => {
        this.#busy--
        this.call()
      })
    }
  }
}

/**
 * Runs `work` on each job, on at most `atOnce` of them at a time. Resolves when all are done. Rejects with the first error of
 * `work`; the rest is done all the same, by one less at a time for each error.
 */
export async function runAll<Job>(
  jobs: Iterable<Job>,
  atOnce: number,
  work: (job: Job) => Promise<unknown>
): Promise<void> {
  const waiting = jobs[Symbol.iterator]()
  const runNext = async (): Promise<void> => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, runNext))
}
