// Owns doing many small jobs a few at a time.

/** Takes jobs from `next` while there are some, at most `atOnce` under way; `work` must not reject. */
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

  /** There may be jobs. */
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
