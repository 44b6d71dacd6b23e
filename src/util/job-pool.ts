// Owns a pool of jobs: bounded concurrency for many small jobs.

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
