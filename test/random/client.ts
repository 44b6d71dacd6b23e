// Owns one HTTP request as a client of the driver sends it: its path byte for byte, and the moments of its answer.
import { Agent, type IncomingMessage, request } from 'node:http'

export interface Sent {
  method: string
  /** As it goes on the wire. */
  path: string
  headers: Record<string, string>
  body?: string | undefined
}

/** With several workers, each connection belongs to one of them. */
const kept = new Agent({ keepAlive: true })
/** Longer than clients rest with their streams open. */
const TIMEOUT_MS = 600_000
/** No script has it: the proxy says so where it got no whole answer, though the gateway may have sent one. */
const PROXY_STATUS = 502

export class Exchange {
  readonly sentAt = Date.now()
  /** Of the gateway's answer, not of one that the proxy makes. Epoch ms; 0: not yet. */
  headAt = 0
  endAt = 0
  text = ''
  readonly head: Promise<IncomingMessage | undefined>
  /** The whole answer, or what there was of it. */
  readonly end: Promise<void>
  readonly leave: () => void
  #heard: (() => void)[] = []

  constructor(origin: string, { method, path, headers, body }: Sent, ownConnection: boolean) {
    const { hostname, port } = new URL(origin)
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = request({
      hostname,
      port,
      method,
      path,
      headers: { ...headers, ...length },
      agent: ownConnection ? false : kept,
      timeout: TIMEOUT_MS
    })
    this.leave = () => outgoing.destroy()
    outgoing.on('timeout', this.leave)
    let ended = (): void => undefined
    this.end = new Promise(resolve => (ended = resolve))
    const done = (): void => {
      this.endAt ||= Date.now()
      this.#tell()
      ended()
    }
    this.head = new Promise(resolve => {
      outgoing.on('response', response => {
        if (response.statusCode !== PROXY_STATUS) this.headAt = Date.now()
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          this.text += part
          this.#tell()
        })
        response.on('error', () => undefined)
        response.on('close', done)
        resolve(response)
      })
      outgoing.on('error', () => undefined)
      outgoing.on('close', () => {
        resolve(undefined)
        if (this.headAt === 0) done()
      })
    })
    outgoing.end(body)
  }

  /** Resolves with the moment at which `text` had come, or undefined at the end of the answer. */
  async until(text: string): Promise<number | undefined> {
    while (!this.text.includes(text)) {
      if (this.endAt > 0) return undefined
      await new Promise<void>(resolve => this.#heard.push(resolve))
    }
    return Date.now()
  }

  #tell(): void {
    for (const heard of this.#heard.splice(0)) heard()
  }
}
