// Owns how the primary asks a worker something: calls with an answer, over the channel between the processes.
import type { Worker } from 'node:cluster'
import { ActionError } from './admin/errors.js'
import type { Control } from './admin/operator.js'
import type { LedgerHealth } from './instance.js'

export interface Methods extends Omit<Control, 'draining'> {
  health(): LedgerHealth
}

export type MethodName = keyof Methods
export type MethodResult<N extends MethodName> = Awaited<ReturnType<Methods[N]>>

export interface Call {
  id: number
  name: MethodName
  args: unknown[]
}

export type Answer =
  { id: number; value: unknown } | { id: number; refused: ActionError['code'] | null; reason: string }

/** Longer than an operator's action takes at most. */
const TIMEOUT_MS = 15_000

interface Waiting {
  resolve: (value: never) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}

export class WorkerCalls {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (message: object) => {
      if ('id' in message) this.#settle(message as Answer)
    })
    worker.once('exit', () => {
      for (const id of this.#waiting.keys()) this.#settle({ id, refused: null, reason: 'the worker died' })
    })
  }

  call<N extends MethodName>(name: N, ...args: Parameters<Methods[N]>): Promise<MethodResult<N>> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const late = (): void => this.#settle({ id, refused: null, reason: 'the worker does not answer' })
      this.#waiting.set(id, { resolve, reject, timer: setTimeout(late, TIMEOUT_MS).unref() })
      this.#worker.send({ id, name, args } satisfies Call, error => {
        if (error) this.#settle({ id, refused: null, reason: error.message })
      })
    })
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    if (waiting === undefined) return
    this.#waiting.delete(answer.id)
    clearTimeout(waiting.timer)
    if ('value' in answer) waiting.resolve(answer.value as never)
    else
      waiting.reject(
        answer.refused ? new ActionError(answer.refused, answer.reason) : new Error(answer.reason)
      )
  }
}

/** In the worker: does what was asked. */
export async function answerCall({ id, name, args }: Call, methods: Methods): Promise<Answer> {
  try {
    const method = methods[name].bind(methods) as (...args: unknown[]) => unknown
    // Undefined would be lost on the way.
    return { id, value: (await method(...args)) ?? null }
  } catch (error) {
    const refused = error instanceof ActionError ? error.code : null
    return { id, refused, reason: error instanceof Error ? error.message : String(error) }
  }
}
