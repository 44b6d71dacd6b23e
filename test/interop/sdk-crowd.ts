// Owns a process full of clients that is killed: opens `count` sessions from `baseUrl transport count`, says so, waits.
import { connectClient, type TransportName } from '../support/sdk-clients.js'

const [baseUrl, transport, count] = process.argv.slice(2) as [string, TransportName, string]
for (let i = 0; i < Number(count); i++) {
  const client = await connectClient(baseUrl, transport, `e${i % 5}`)
  await client.echo('here')
}
console.log('connected')
setInterval(() => undefined, 60_000)
