// Owns one message of the fuzz: bytes go to a port, and an answer comes or the connection is closed.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'
import { parts } from './bytes.js'

/** Longer than all time limits of the proxy in the fuzz, on a busy machine too. */
const GIVE_UP_MS = 30_000

/** The first bytes of the answer; '' where the connection was closed without one, undefined where nothing happened. */
export async function exchange(random: Random, port: number, bytes: Buffer): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  let over = (): void => undefined
  const happened = new Promise<void>(resolve => (over = resolve))
  socket.on('error', () => undefined)
  socket.once('close', () => over())
  socket.on('data', (data: Buffer) => {
    if (received.length < 12) received += data.toString('latin1', 0, 12)
    if (received.length >= 12) over()
  })
  const timer = setTimeout(over, GIVE_UP_MS)
  for (const part of parts(random, bytes)) {
    socket.write(part)
    if (random.chance(0.2)) await sleep(1)
  }
  if (random.chance(0.1)) socket.end()
  await happened
  clearTimeout(timer)
  const isClosed = socket.destroyed || socket.readableEnded
  // Some read on for a moment, some leave at once.
  if (!isClosed && random.chance(0.3)) await sleep(random.int(0, 5))
  if (random.chance(0.5)) socket.destroy()
  else socket.resetAndDestroy()
  return received !== '' || isClosed ? received : undefined
}
