// Owns how the admin port's thread, the primary and the workers ask each other something: calls with an answer.
import type { Control } from '../admin/operator-port.js'
import { ActionError } from '../admin/schemas/admin-errors.js'
import type { SessionIds } from '../mcp/stored-ids.js'
import type { Snapshot } from '../metrics/exposition.js'
import { reasonOf } from '../util/errors.js'
import type { LedgerHealth } from './ledger-health.js'

/** What a proxy, or several that are one to clients, can be asked. Arguments and answers can be cloned. */
export interface Methods extends Control {
  health(): LedgerHealth | Promise<LedgerHealth>
  /** Of each process, in their order; undefined for one that does not answer. */
  metrics(): Promise<(Snapshot | undefined)[]>
}

/** What a proxy does besides for those that are with it one to clients. */
export interface WorkerControl extends Control {
  /** Whether it can speak to the gateway as the session's client. */
  knows(session: SessionIds): boolean
  /** Cuts the streams of a session that ended. */
  cut(session: SessionIds): void
}

type Method = (...args: never[]) => unknown

export interface Call {
  id: number
  name: string
  args: unknown[]
}

export type Answer =
  { id: number; value: unknown } | { id: number; refused: ActionError['code'] | null; reason: string }

/** How a process or thread starts, to the one that started it. */
export type Start = { started: string } | { failed: string }

/** Longer than an operator's action takes at most. */
const TIMEOUT_MS = 15_000

interface Waiting {
  resolve: (value: never) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}

/** The side that asks. */
export class Calls<M extends Record<keyof M, Method> = Methods> {
  readonly #send: (call: Call) => void
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(send: (call: Call) => void) {
    this.#send = send
  }

  /** Rejects when the other side refuses, is gone or does not answer. */
  call<N extends keyof M & string>(name: N, ...args: Parameters<M[N]>): Promise<Awaited<ReturnType<M[N]>>> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const late = (): void => this.settle({ id, refused: null, reason: 'there is no answer' })
      this.#waiting.set(id, { resolve, reject, timer: setTimeout(late, TIMEOUT_MS).unref() })
      this.#send({ id, name, args })
    })
  }

  settle(answer: Answer): void {
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

  /** The other side is gone. */
  end(): void {
    for (const id of this.#waiting.keys()) this.settle({ id, refused: null, reason: 'it ended' })
  }
}

/** The side that is asked: does it. */
export async function answerCall({ id, name, args }: Call, methods: Methods): Promise<Answer> {
  try {
    const method = methods[name as keyof Methods].bind(methods) as (...args: unknown[]) => unknown
    // Undefined would be lost between processes.
    return { id, value: (await method(...args)) ?? null }
  } catch (error) {
    const refused = error instanceof ActionError ? error.code : null
    return { id, refused, reason: reasonOf(error) }
  }
}
