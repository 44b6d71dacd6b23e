// Owns the one life cycle: parts that are started in order are closed in the opposite order, also when a start fails halfway.

/** Whatever was started and must be closed. */
export interface Closable {
  /** Resolves when it has ended. */
  close(): Promise<void>
}

/** Takes what must be done at the end; the last taken is done first. */
export type OnClose = (cleanup: () => Promise<unknown> | void) => void

/**
 * Runs `start` and adds `close` to its result. `close`, or a failure of `start`, runs what `start` gave to `onClose`, the last
 * first. Throws as `start` does.
 */
export async function startInOrder<T extends object>(
  start: (onClose: OnClose) => Promise<T>
): Promise<T & Closable> {
  const cleanups: Parameters<OnClose>[0][] = []
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  }
  try {
    return Object.assign(await start(cleanup => cleanups.push(cleanup)), { close })
  } catch (error) {
    await close()
    throw error
  }
}
