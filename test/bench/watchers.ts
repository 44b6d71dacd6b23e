// Owns what `npm run bench:watchers` disturbs with: a process of subscribers to live monitoring, and of sessions that come
// and go. Prints `ready`; at the end of its input it ends, and prints how many messages came.
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { WebSocket } from 'undici'

const SUBSCRIBERS = 1_000
const SESSIONS_PER_MINUTE = 10_000
const CONNECTIONS = 16

const [adminUrl, proxyUrl] = process.argv.slice(2) as [string, string]
let messages = 0

/** Resolves once it has the state; Engine.IO 4 and Socket.IO 5 in text frames. */
function subscribe(): Promise<void> {
  return new Promise((resolve, reject) => {
    const url = new URL('/socket.io/?EIO=4&transport=websocket', adminUrl)
    url.protocol = 'ws:'
    const socket = new WebSocket(url)
    socket.addEventListener('error', () => reject(new Error('a subscriber was refused')))
    socket.addEventListener('message', ({ data }: { data: unknown }) => {
      const text = String(data)
      messages++
      if (text.startsWith('0')) socket.send('40/monitoring,')
      else if (text === '2') socket.send('3')
      else if (text.startsWith('40/monitoring,'))
        socket.send('42/monitoring,["subscribe_mcp_connections",{}]')
      else if (text.startsWith('42/monitoring,')) resolve()
    })
  })
}

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })

async function ask(method: string, session?: string): Promise<IncomingMessage> {
  const headers = { ...(session !== undefined && { 'mcp-session-id': session }) }
  const sent = request(`${proxyUrl}/stream/json`, { method, agent, headers }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  await once(response.resume(), 'close')
  return response
}

async function visit(): Promise<void> {
  const opened = await ask('POST')
  await ask('DELETE', opened.headers['mcp-session-id'] as string)
}

for (let subscribed = 0; subscribed < SUBSCRIBERS; subscribed += 50)
  await Promise.all(Array.from({ length: 50 }, subscribe))
const startedMs = performance.now()
let visits = 0
const timer = setInterval(() => {
  const due = ((performance.now() - startedMs) * SESSIONS_PER_MINUTE) / 60_000
  for (; visits < due; visits++) void visit().catch(() => undefined)
}, 5)
console.log('ready')
await once(process.stdin.resume(), 'end')
clearInterval(timer)
console.log(`${messages} messages`)
process.exit()
