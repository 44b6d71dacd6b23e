// Owns raw HTTP/1 on sockets for tests: both ends as bytes, and a strict reader that knows whole from broken messages.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export type Field = [name: string, value: string]

export interface Head {
  startLine: string
  fields: Field[]
}

/** Reads one message (a request, or 1xx responses and the final one) from bytes as they come. */
export class MessageReader {
  readonly interim: Head[] = []
  head: Head | undefined
  body: Buffer[] = []
  trailers: Field[] = []
  complete = false
  /** Bytes behind the message. */
  rest = Buffer.alloc(0)
  #state: 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'done' =
    'head'
  #wanted = 0
  readonly #bodyless: boolean

  constructor(
    readonly kind: 'request' | 'response',
    method = ''
  ) {
    this.#bodyless = method === 'HEAD'
  }

  feed(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.rest, chunk])
    while (this.#step());
  }

  /** The other side closed cleanly. */
  fin(): void {
    if (this.#state === 'until-close') this.#finish()
  }

  value(name: string): string | undefined {
    return this.head?.fields.find(([key]) => key.toLowerCase() === name)?.[1]
  }

  text(): string {
    return Buffer.concat(this.body).toString('latin1')
  }

  digest(): string {
    const body = Buffer.concat(this.body)
    return `${body.length} bytes, ${createHash('sha256').update(body).digest('hex')}`
  }

  #step(): boolean {
    switch (this.#state) {
      case 'head': {
        const block = this.#takeUntil('\r\n\r\n')
        if (block === undefined) return false
        const head = parseHead(block)
        if (this.kind === 'response' && / 1\d\d/.test(head.startLine.slice(0, 12))) {
          this.interim.push(head)
        } else {
          this.head = head
          this.#state = this.#framing(head)
        }
        return true
      }
      case 'length':
      case 'chunk': {
        const data = this.#take(this.#wanted)
        this.#wanted -= data.length
        if (this.#wanted > 0) return false
        if (this.#state === 'length') this.#finish()
        else this.#state = 'chunk-end'
        return true
      }
      case 'until-close':
        this.#take(Infinity)
        return false
      case 'chunk-end': {
        const line = this.#takeUntil('\r\n')
        if (line === undefined) return false
        if (line !== '') throw new Error(`bytes behind a chunk: ${line}`)
        this.#state = 'chunk-size'
        return true
      }
      case 'chunk-size': {
        const line = this.#takeUntil('\r\n')
        if (line === undefined) return false
        this.#wanted = parseInt(line, 16)
        this.#state = this.#wanted === 0 ? 'trailers' : 'chunk'
        return true
      }
      case 'trailers': {
        const line = this.#takeUntil('\r\n')
        if (line === undefined) return false
        if (line === '') this.#finish()
        else this.trailers.push(parseField(line))
        return true
      }
      case 'done':
        return false
    }
  }

  #framing(head: Head): 'length' | 'chunk-size' | 'until-close' | 'done' {
    const status = Number(head.startLine.split(' ')[1])
    if (this.#bodyless || (this.kind === 'response' && (status === 204 || status === 304)))
      return this.#finish()
    if (/chunked/i.test(this.value('transfer-encoding') ?? '')) return 'chunk-size'
    const length = this.value('content-length')
    if (length === undefined) return this.kind === 'request' ? this.#finish() : 'until-close'
    this.#wanted = Number(length)
    return this.#wanted === 0 ? this.#finish() : 'length'
  }

  #finish(): 'done' {
    this.complete = true
    this.#state = 'done'
    return 'done'
  }

  #take(most: number): Buffer {
    const data = this.rest.subarray(0, Math.min(most, this.rest.length))
    this.rest = this.rest.subarray(data.length)
    if (data.length > 0) this.body.push(data)
    return data
  }

  #takeUntil(mark: string): string | undefined {
    const at = this.rest.indexOf(mark)
    if (at === -1) return undefined
    const text = this.rest.toString('latin1', 0, at)
    this.rest = this.rest.subarray(at + mark.length)
    return text
  }
}

function parseHead(block: string): Head {
  const [startLine = '', ...lines] = block.split('\r\n')
  return { startLine, fields: lines.map(parseField) }
}

function parseField(line: string): Field {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

/** One end of a connection. */
export class RawConnection {
  reader: MessageReader
  /** All bytes received. */
  received = 0
  ended: 'fin' | 'reset' | undefined
  #wake: (() => void)[] = []

  constructor(
    readonly socket: Socket,
    reader: MessageReader
  ) {
    this.reader = reader
    socket.setNoDelay(true)
    socket.on('data', (data: Buffer) => {
      this.received += data.length
      this.reader.feed(data)
      this.#changed()
    })
    socket.on('end', () => {
      this.ended ??= 'fin'
      this.reader.fin()
      this.#changed()
    })
    socket.on('error', () => {
      this.ended ??= 'reset'
      this.#changed()
    })
    socket.on('close', () => {
      this.ended ??= 'fin'
      this.#changed()
    })
  }

  /** Resolves once `condition` holds, looked at whenever something arrives. */
  async until(condition: (connection: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>(resolve => this.#wake.push(resolve))
  }

  head(): Promise<void> {
    return this.until(({ reader }) => reader.head !== undefined)
  }

  /** The message is complete, or the connection ended. */
  done(): Promise<void> {
    return this.until(({ reader, ended }) => reader.complete || ended !== undefined)
  }

  closed(): Promise<void> {
    return this.until(({ ended }) => ended !== undefined)
  }

  bodyText(text: string): Promise<void> {
    return this.until(({ reader }) => reader.text().includes(text))
  }

  async send(data: string | Buffer): Promise<void> {
    if (this.socket.destroyed) return
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
    await new Promise<void>(resolve => this.socket.write(bytes, () => resolve()))
  }

  next(method?: string): void {
    const { kind, rest } = this.reader
    this.reader = new MessageReader(kind, method)
    this.reader.feed(rest)
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

export async function connectTo(port: number, method = 'GET'): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return new RawConnection(socket, new MessageReader('response', method))
}

export interface RawServer {
  port: number
  url: URL
  connections: RawConnection[]
  close(): Promise<void>
}

/** A server whose responses are a script over raw bytes, run for each connection. */
export async function serveRaw(
  script: (connection: RawConnection) => Promise<void> | void
): Promise<RawServer> {
  const connections: RawConnection[] = []
  const server = createServer({ allowHalfOpen: false }, socket => {
    const connection = new RawConnection(socket, new MessageReader('request'))
    connections.push(connection)
    void script(connection)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: new URL(`http://127.0.0.1:${port}`),
    connections,
    async close() {
      for (const { socket } of connections) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}

/** A server that reads whole requests and answers each with what `respond` returns, keeping its connections. */
export function serveResponses(respond: (request: MessageReader) => string): Promise<RawServer> {
  return serveRaw(async connection => {
    for (;;) {
      await connection.done()
      if (!connection.reader.complete) return
      const text = respond(connection.reader)
      connection.next()
      await connection.send(text)
    }
  })
}
