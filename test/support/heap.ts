// Owns looking into the heap of a process started with `--inspect`, from outside.
import { WebSocket } from 'undici'

interface Answer {
  id: number
  result: { usedSize: number }
}

/** Bytes in use on the main thread's heap, after a garbage collection. */
export async function heapUsedBytes(inspectorPort: number): Promise<number> {
  const targets = (await (await fetch(`http://127.0.0.1:${inspectorPort}/json`)).json()) as {
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', reject)
  })
  const call = (id: number, method: string): Promise<Answer> =>
    new Promise(resolve => {
      socket.addEventListener('message', ({ data }: { data: unknown }) => {
        const answer = JSON.parse(String(data)) as Answer
        if (answer.id === id) resolve(answer)
      })
      socket.send(JSON.stringify({ id, method }))
    })
  await call(1, 'HeapProfiler.collectGarbage')
  const { result } = await call(2, 'Runtime.getHeapUsage')
  socket.close()
  return result.usedSize
}
