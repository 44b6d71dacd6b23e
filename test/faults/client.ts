// Owns one client of the fault run: it keeps a session, and between ordinary requests does something unpleasant.
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'

/** How long it waits between two things, up to. */
const THINK_MS = 4_000
/** Answers take as long as the machine does; longer than any time limit of the proxy in this run. */
const GIVE_UP_MS = 60_000

export interface Tally {
  done: Record<string, number>
  /** An ordinary request was answered with something else than it should, or any request never. */
  wrong: Record<string, number>
}

export class Client {
  readonly #port: number
  readonly #random: Random
  readonly #tally: Tally
  readonly #running: AbortSignal
  #session: string | undefined

  constructor(port: number, random: Random, tally: Tally, running: AbortSignal) {
    this.#port = port
    this.#random = random
    this.#tally = tally
    this.#running = running
  }

  async run(): Promise<void> {
    const manners = [
      () => this.#use(),
      () => this.#use(),
      () => this.#use(),
      () => this.#readSlowly(),
      () => this.#uploadSlowly(),
      () => this.#abort(),
      () => this.#listen(),
      () => this.#halfOpen(),
      () => this.#provoke()
    ]
    while (!this.#running.aborted) {
      const manner = this.#random.pick(manners)
      await manner()
      await this.#pause(this.#random.int(0, THINK_MS))
    }
    if (this.#session !== undefined) await this.#ask('DELETE', '/stream/e', this.#session)
  }

  /** An ordinary request: opens a session, or uses it, or ends it. */
  async #use(): Promise<void> {
    const end = this.#session !== undefined && this.#random.chance(0.1)
    const status = await this.#ask(end ? 'DELETE' : 'POST', '/stream/e', this.#session)
    this.#count(this.#tally.done, `answered ${status ?? 'nothing'}`)
    if (end || status === 404) this.#session = undefined
    // The gateway may be down, or have ended with the request under way; this process may be late with its bytes.
    if (status !== undefined && ![200, 202, 404, 408, 502].includes(status))
      this.#count(this.#tally.wrong, String(status))
  }

  /** Reads a large answer with long pauses, or stops altogether. */
  async #readSlowly(): Promise<void> {
    const socket = await this.#open()
    if (socket === undefined) return
    socket.pause().write(head('GET', '/stream/e/large'))
    for (let i = 0; i < 5 && !socket.destroyed; i++) {
      await this.#pause(500)
      socket.read()
    }
    socket.destroy()
  }

  async #uploadSlowly(): Promise<void> {
    const socket = await this.#open()
    if (socket === undefined) return
    socket.resume().write(head('POST', '/stream/e', ['Content-Length: 100000']))
    for (let i = 0; i < 5 && !socket.destroyed; i++) {
      await this.#pause(500)
      socket.write('x'.repeat(this.#random.int(0, 10_000)))
    }
    socket.destroy()
  }

  /** Leaves at any moment of a request. */
  async #abort(): Promise<void> {
    const socket = await this.#open()
    if (socket === undefined) return
    const bytes =
      head(this.#random.pick(['POST', 'DELETE']), '/stream/e', [
        `Mcp-Session-Id: ${this.#session ?? 'x'}`,
        'Content-Length: 2'
      ]) + '{}'
    socket.resume().write(bytes.slice(0, this.#random.int(1, bytes.length)))
    await this.#pause(this.#random.int(0, 20))
    if (this.#random.chance(0.5)) socket.resetAndDestroy()
    else socket.destroy()
  }

  async #listen(): Promise<void> {
    const socket = await this.#open()
    if (socket === undefined) return
    const fields = ['Accept: text/event-stream', `Mcp-Session-Id: ${this.#session ?? 'x'}`]
    socket.resume().write(head('GET', '/stream/e', fields))
    await this.#pause(this.#random.int(0, 3 * THINK_MS))
    if (this.#random.chance(0.5)) socket.resetAndDestroy()
    else socket.destroy()
  }

  /** Says that it has sent everything, or nothing at all, and stays. */
  async #halfOpen(): Promise<void> {
    const socket = await this.#open()
    if (socket === undefined) return
    socket.resume()
    if (this.#random.chance(0.5)) socket.end(head('GET', '/stream/e', ['Accept: text/event-stream']))
    await this.#pause(2 * THINK_MS)
    socket.destroy()
  }

  /** Asks for a fault of the gateway. */
  async #provoke(): Promise<void> {
    const fault = this.#random.pick(['reset-before', 'reset-amid', 'short', 'never', 'garbage'])
    const status = await this.#ask('GET', `/stream/e/${fault}`, undefined)
    this.#count(this.#tally.done, `${fault} answered ${status ?? 'nothing'}`)
  }

  /** The status of the answer when it is there, or breaks off; undefined for none. */
  async #ask(method: string, path: string, session: string | undefined): Promise<number | undefined> {
    const socket = await this.#open()
    if (socket === undefined) return undefined
    const fields = ['Connection: close', ...(session === undefined ? [] : [`Mcp-Session-Id: ${session}`])]
    let received = ''
    const over = new Promise<void>(resolve => {
      socket.on('data', (data: Buffer) => {
        if (received.length < 10_000) received += data.toString('latin1')
      })
      socket.once('close', () => resolve())
    })
    const timer = setTimeout(() => {
      this.#count(this.#tally.wrong, `${method} ${path} never answered`)
      socket.destroy()
    }, GIVE_UP_MS)
    socket.write(head(method, path, [...fields, 'Content-Length: 2']) + '{}')
    await over
    clearTimeout(timer)
    this.#session = /\r\nmcp-session-id: (\S+)/i.exec(received)?.[1] ?? this.#session
    const status = /^HTTP\/1\.1 (\d{3})/.exec(received)?.[1]
    return status === undefined ? undefined : Number(status)
  }

  async #open(): Promise<Socket | undefined> {
    const socket = connect(this.#port, '127.0.0.1')
    return await new Promise(resolve => {
      socket.once('connect', () => resolve(socket))
      socket.on('error', () => {
        this.#count(this.#tally.done, 'connections that broke')
        resolve(undefined)
      })
    })
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#running }).catch(() => undefined)
  }

  #count(counts: Record<string, number>, what: string): void {
    counts[what] = (counts[what] ?? 0) + 1
  }
}

function head(method: string, path: string, fields: string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n')
}
