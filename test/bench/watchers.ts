// Owns what `npm run bench:watchers` disturbs with: a process of subscribers to live monitoring.
// node watchers.js ADMIN_URL; prints how many messages came when all have the state, and for each line read.
import { createInterface } from 'node:readline'
import { WebSocket } from 'undici'

const SUBSCRIBERS = 1_000

const [adminUrl] = process.argv.slice(2) as [string]
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

for (let subscribed = 0; subscribed < SUBSCRIBERS; subscribed += 50)
  await Promise.all(Array.from({ length: 50 }, subscribe))
console.log(messages)
createInterface(process.stdin)
  .on('line', () => console.log(messages))
  .once('close', () => process.exit())
