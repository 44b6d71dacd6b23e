// Owns looking into the heap of a process started with `--inspect`, from outside.
import { WebSocket } from 'undici'

interface Answer {
  id: number
  result: { result: { value: unknown } }
}

/** Bytes in use on the main thread's heap, after a garbage collection. */
export const heapUsedBytes = (inspectorPort: number): Promise<number> =>
  evaluate(inspectorPort, 'process.memoryUsage().heapUsed') as Promise<number>

/** The same, and what buffers hold outside of it. */
export const memoryUsedBytes = (inspectorPort: number): Promise<number> =>
  evaluate(
    inspectorPort,
    'process.memoryUsage().heapUsed + process.memoryUsage().external'
  ) as Promise<number>

/** The value of an expression on its main thread, after a garbage collection. */
export async function evaluate(inspectorPort: number, expression: string): Promise<unknown> {
  const targets = (await (await fetch(`http://127.0.0.1:${inspectorPort}/json`)).json()) as {
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', reject)
  })
  const call = (id: number, method: string, params = {}): Promise<Answer> =>
    new Promise(resolve => {
      socket.addEventListener('message', ({ data }: { data: unknown }) => {
        const answer = JSON.parse(String(data)) as Answer
        if (answer.id === id) resolve(answer)
      })
      socket.send(JSON.stringify({ id, method, params }))
    })
  await call(1, 'HeapProfiler.collectGarbage')
  const { result } = await call(2, 'Runtime.evaluate', { expression })
  socket.close()
  return result.result.value
}
