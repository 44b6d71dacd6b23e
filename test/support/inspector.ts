// Owns looking into the threads of a process started with `--inspect`, from outside: their heaps above all.
import { WebSocket } from 'undici'

/** Bytes in use on the heaps of all threads, after a garbage collection. */
export const heapUsedBytes = (inspectorPort: number): Promise<number> =>
  sumOfThreads(inspectorPort, 'process.memoryUsage().heapUsed')

/** The same, and what buffers hold outside of them. */
export const memoryUsedBytes = (inspectorPort: number): Promise<number> =>
  sumOfThreads(inspectorPort, 'process.memoryUsage().heapUsed + process.memoryUsage().external')

/** The value of an expression on the main thread, after a garbage collection. */
export async function evaluate(inspectorPort: number, expression: string): Promise<unknown> {
  const session = await connect(inspectorPort)
  const value = await valueIn(session.call, expression)
  session.close()
  return value
}

/** The value of an expression on the worker thread that runs this file. */
export async function evaluateIn(inspectorPort: number, file: string, expression: string): Promise<unknown> {
  const session = await connect(inspectorPort)
  const [thread] = await session.workers(file)
  const value = await valueIn(thread!, expression)
  session.close()
  return value
}

async function sumOfThreads(inspectorPort: number, expression: string): Promise<number> {
  const session = await connect(inspectorPort)
  const values = [await valueIn(session.call, expression)]
  for (const worker of await session.workers()) values.push(await valueIn(worker, expression))
  session.close()
  return values.reduce<number>((sum, value) => sum + Number(value), 0)
}

type Call = (method: string, params?: object) => Promise<Record<string, unknown>>

async function valueIn(call: Call, expression: string): Promise<unknown> {
  await call('HeapProfiler.collectGarbage')
  const { result } = await call('Runtime.evaluate', { expression })
  return (result as { value: unknown }).value
}

interface Message {
  id?: number
  result?: Record<string, unknown>
  method?: string
  params?: { sessionId: string; message: string; workerInfo: { url: string } }
}

/** To a process; its workers are reached through it (the inspector's domain NodeWorker). */
async function connect(
  inspectorPort: number
): Promise<{ call: Call; workers: (file?: string) => Promise<Call[]>; close: () => void }> {
  const targets = (await (await fetch(`http://127.0.0.1:${inspectorPort}/json`)).json()) as {
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', reject)
  })
  const attached: { sessionId: string; url: string }[] = []
  const waiting = new Map<number, (result: Record<string, unknown>) => void>()
  let lastId = 0

  const onMessage = (text: string): void => {
    const { id, result, method, params } = JSON.parse(text) as Message
    if (id !== undefined) waiting.get(id)?.(result ?? {})
    else if (method === 'NodeWorker.attachedToWorker')
      attached.push({ sessionId: params!.sessionId, url: params!.workerInfo.url })
    else if (method === 'NodeWorker.receivedMessageFromWorker') onMessage(params!.message)
  }
  socket.addEventListener('message', ({ data }: { data: unknown }) => onMessage(String(data)))

  const through =
    (send: (text: string) => void): Call =>
    (method, params = {}) =>
      new Promise(resolve => {
        const id = ++lastId
        waiting.set(id, resolve)
        send(JSON.stringify({ id, method, params }))
      })
  const call = through(text => socket.send(text))
  return {
    call,
    async workers(file = '') {
      await call('NodeWorker.enable', { waitForDebuggerOnStart: false })
      return attached
        .filter(({ url }) => url.endsWith(file))
        .map(({ sessionId }) =>
          through(message => void call('NodeWorker.sendMessageToWorker', { sessionId, message }))
        )
    },
    close: () => socket.close()
  }
}
