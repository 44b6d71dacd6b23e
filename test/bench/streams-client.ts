// Owns the clients of the stream benchmark: holds event streams, each of a session of its own; counts the events.
// node streams-client.js URL COUNT; prints a line when all are open, and one for each line read.
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { open, requestHead } from './client.js'

export interface StreamsState {
  /** Streams on which the first event came, and which did not end. */
  open: number
  /** Events since the last line. */
  events: number
}

const AT_A_TIME = 100

const [url, count] = process.argv.slice(2) as [string, string]
const target = new URL(url)
let opened = 0
let events = 0

async function stream(): Promise<void> {
  const socket = await open(target)
  socket.write(requestHead(target, randomUUID()))
  await new Promise<void>((resolve, reject) => {
    let first = true
    socket.on('data', part => {
      for (let at = part.indexOf('data:'); at !== -1; at = part.indexOf('data:', at + 5)) events++
      if (!first || events === 0) return
      first = false
      opened++
      resolve()
    })
    socket.once('error', reject)
    socket.once('close', () => {
      if (!first) opened--
      reject(new Error('A stream ended before its first event'))
    })
  })
}

function print(): void {
  const state: StreamsState = { open: opened, events }
  events = 0
  console.log(JSON.stringify(state))
}

let left = Number(count)
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    while (left-- > 0) await stream()
  })
)
print()
createInterface(process.stdin)
  .on('line', print)
  .once('close', () => process.exit())
