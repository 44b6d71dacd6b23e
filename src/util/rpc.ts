// Owns calls between threads and between processes: each side calls the methods of the other side over one channel.
//
// birpc makes the calls. This file gives it the two kinds of channel, and carries the code and the message of an error, which
// neither channel does: a structured clone drops the code, and JSON drops both.
import { type BirpcReturn, createBirpc } from 'birpc'
import { codeOf, reasonOf, TurnstileError } from './errors.js'

/** What a call rejects with when the other side's method threw, is gone, or did not respond in time. */
export class RemoteError extends TurnstileError {
  /** The code of the error on the other side (`FAILED` where it had none), `TIMEOUT`, or `CLOSED`. */
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Both directions of one connection to another thread or process. */
export interface Channel {
  /** Throws or rejects where the message cannot be sent. */
  post(message: unknown): void | Promise<void>
  on(receive: (message: unknown) => void): void
}

/** The channel of a `Worker` or `MessagePort` of `node:worker_threads`: arguments and results are structured clones. */
export const portChannel = (port: {
  postMessage(message: unknown): void
  on(event: 'message', listener: (message: unknown) => void): unknown
}): Channel => ({
  post: message => port.postMessage(message),
  on: receive => void port.on('message', receive)
})

/** The channel between a process and its child, seen from either: arguments and results become JSON on the way. */
export const ipcChannel = (peer: {
  send?(message: unknown, callback: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
}): Channel => ({
  post: message =>
    new Promise((resolve, reject) => {
      peer.send!(message, error => (error ? reject(error) : resolve()))
    }),
  on: receive => void peer.on('message', message => receive(message))
})

/**
 * The methods of the other side, to be called as if they were here; each gives a promise. `asEvent` calls one without
 * waiting for its result. `$close(error)` rejects every pending call with that error; later calls reject too.
 */
export type Remote<Methods extends object> = BirpcReturn<Methods, object>

/** How `connect` makes its calls. */
export interface ConnectOptions {
  /** A call without a response for so long rejects with `TIMEOUT`; Infinity: it waits until the connection is closed. */
  timeoutMs: number
}

/**
 * Connects both sides of a channel. `ours` are the methods that the other side may call; while they are a promise, its calls
 * wait, and if the promise rejects, its calls reject with that error. The connection does not notice that the other side is
 * gone: the code that sees it end must call `$close` with a `RemoteError` whose code is `CLOSED`.
 */
export function connect<Theirs extends object>(
  channel: Channel,
  ours: object | Promise<object>,
  { timeoutMs }: ConnectOptions
): Remote<Theirs> {
  const methods = Promise.resolve(ours) as Promise<Record<string, (...args: unknown[]) => unknown>>
  // Each call rejects with this error; without a handler here it would also end the process.
  methods.catch(() => undefined)
  return createBirpc<Theirs, object>(
    {},
    {
      post: message => channel.post(message),
      on: receive => channel.on(receive),
      serialize: ({ e: error, ...message }: Message) =>
        error === undefined ? message : { ...message, e: { code: codeOf(error), reason: reasonOf(error) } },
      deserialize: ({ e: failure, ...message }: Message<Failure>) =>
        failure === undefined
          ? message
          : { ...message, e: new RemoteError(failure.code || 'FAILED', failure.reason) },
      resolver:
        name =>
        async (...args: unknown[]) =>
          (await methods)[name]!(...args),
      timeout: Number.isFinite(timeoutMs) ? timeoutMs : -1,
      onTimeoutError: name => {
        throw new RemoteError('TIMEOUT', `${name}: there is no response within ${timeoutMs} ms`)
      },
      // `calledHere` is there when a result could not be sent: then the error is sent, if the caller is not gone.
      onGeneralError: (_error, calledHere) => calledHere !== undefined
    }
  )
}

/** What birpc sends, as far as it matters here: `e` is the error that a method threw. */
interface Message<E = unknown> {
  e?: E
}

interface Failure {
  code?: string
  reason: string
}
