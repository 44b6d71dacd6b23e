// Owns the wire between one proxy and the database: TCP passed through, until it is cut, stalled or closed on demand.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * Where a COMMIT is cut. `answer`: the server has committed, its answer is dropped. `early`: the client is cut off
 * while its COMMIT goes on to the server. `before`: the COMMIT does not arrive.
 */
export type CommitCut = 'answer' | 'early' | 'before'

const COM_QUERY = 3
/** A heartbeat has fewer statements in its transaction, a batch of sessions more. */
const STATEMENTS_OF_A_BATCH = 5

/** MySQL's framing, as far as a cut needs it: finds the COMMIT that ends a transaction of many statements. */
class CommitFinder {
  #rest = Buffer.alloc(0)
  #statements = 0

  /** Whether the COMMIT of a batch ends in these bytes. */
  feed(chunk: Buffer): boolean {
    this.#rest = Buffer.concat([this.#rest, chunk])
    let found = false
    for (;;) {
      const length = this.#rest.length < 4 ? Infinity : this.#rest.readUIntLE(0, 3)
      if (this.#rest.length < 4 + length) return found
      const isCommand = this.#rest[3] === 0
      if (isCommand && this.#command(this.#rest.subarray(4, 4 + length))) found = true
      this.#rest = this.#rest.subarray(4 + length)
    }
  }

  #command(payload: Buffer): boolean {
    this.#statements++
    if (payload[0] !== COM_QUERY || payload.length > 100) return false
    const text = payload.toString('latin1')
    if (text.includes('START TRANSACTION')) this.#statements = 0
    return text.endsWith('COMMIT') && this.#statements > STATEMENTS_OF_A_BATCH
  }
}

class Link {
  readonly client: Socket
  readonly server: Socket

  constructor(client: Socket, server: Socket) {
    this.client = client
    this.server = server
  }

  pause(): void {
    this.client.pause()
    this.server.pause()
  }

  resume(): void {
    this.client.resume()
    this.server.resume()
  }

  cut(): void {
    this.client.destroy()
    this.server.destroy()
  }
}

export class CuttingProxy {
  readonly #target: URL
  readonly #server: Server
  readonly #links = new Set<Link>()
  #armed: CommitCut[] = []
  #closed = false
  #stalled = false
  /** Commits that were cut. */
  readonly commitsCut: Record<CommitCut, number> = { answer: 0, early: 0, before: 0 }

  private constructor(target: URL) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: false }, client => this.#accept(client))
  }

  static async start(target: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(new URL(target))
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** The database's URL through this wire. */
  get url(): string {
    const url = new URL(this.#target)
    url.port = String((this.#server.address() as AddressInfo).port)
    return url.href
  }

  /** Cuts the next COMMIT of a batch that no earlier call is waiting for. */
  armCommit(cut: CommitCut): void {
    this.#armed.push(cut)
  }

  disarm(): void {
    this.#armed = []
  }

  /** Cuts all connections; how many. */
  cut(): number {
    const links = [...this.#links]
    for (const link of links) link.cut()
    return links.length
  }

  /** From now on connections are cut at once, until `open`. */
  close(): void {
    this.#closed = true
    this.cut()
  }

  /** From now on nothing passes, in either direction, until `open`. */
  stall(): void {
    this.#stalled = true
    for (const link of this.#links) link.pause()
  }

  open(): void {
    this.#closed = this.#stalled = false
    for (const link of this.#links) link.resume()
  }

  async stop(): Promise<void> {
    this.close()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    if (this.#closed) return void client.destroy()
    const server = connect({ host: this.#target.hostname, port: Number(this.#target.port) })
    const link = new Link(client, server)
    this.#links.add(link)
    const finder = new CommitFinder()
    client.setNoDelay().on('data', chunk => {
      const cut = finder.feed(chunk) ? this.#armed.shift() : undefined
      if (cut) this.#cutCommit(link, chunk, cut)
      else server.write(chunk)
    })
    server.setNoDelay().on('data', chunk => client.write(chunk))
    for (const socket of [client, server]) socket.on('error', () => undefined)
    server.once('close', () => {
      client.destroy()
      this.#links.delete(link)
    })
    client.once('close', () => server.destroy())
    if (this.#stalled) link.pause()
  }

  #cutCommit(link: Link, commit: Buffer, kind: CommitCut): void {
    this.commitsCut[kind]++
    if (kind === 'before') return link.cut()
    // The server's answer shows that it has committed; a reset before could make it drop what it has not read.
    link.client.removeAllListeners('close')
    link.server.removeAllListeners('data').once('data', () => link.cut())
    link.server.write(commit)
    if (kind === 'early') link.client.destroy()
  }
}
