// Owns that what is started one after the other ends in the opposite order, also when the start fails halfway.

export interface Closable {
  close(): Promise<void>
}

export type OnClose = (cleanup: () => Promise<unknown> | void) => void

/** Runs `start`; `close`, or a failure of the start, runs what it gave to `onClose`, the last first. */
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
