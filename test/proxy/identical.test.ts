// Owns the claim that the proxy changes nothing: each case runs as raw bytes directly against a scripted upstream and
// through the proxy, and what each side received must be the same, but for the fields that are documented to differ.
import { test } from 'tap'
import { startProxyTo } from '../support/proxy-under-test.js'
import {
  connectTo,
  serveRaw,
  type Field,
  type Head,
  type MessageReader,
  type RawConnection
} from '../support/raw-http.js'
import { identicalCases, type Case } from './identical-cases.js'

/** What may differ: hop-by-hop fields, what the proxy adds, and what is compared on its own (`host`, framing). */
const documented =
  /^(connection|keep-alive|proxy-connection|te|transfer-encoding|upgrade|expect|via|x-forwarded-.*|host|content-length)$/i

interface Seen {
  startLine: string | undefined
  interim: unknown
  fields: Field[] | undefined
  host: string | undefined
  length: string | undefined
  body: string
  trailers: Field[]
  ending: 'whole' | 'broken' | 'nothing'
}

function plainFields(head: Head | undefined): Field[] | undefined {
  return head?.fields.filter(([name]) => !documented.test(name))
}

function seen(reader: MessageReader): Seen {
  const { head, kind, interim } = reader
  // The version is each hop's own.
  const startLine = head?.startLine.replace(kind === 'request' ? / HTTP\/1\.\d$/ : /^HTTP\/1\.\d/, '')
  const length = reader.value('content-length')
  return {
    startLine,
    interim: interim.map(each => [each.startLine, plainFields(each)]),
    fields: plainFields(head),
    host: kind === 'request' ? (reader.value('host') ?? '') : undefined,
    // A request without a body may say so or not; a chunked body that came at once is sent with its length.
    length: kind === 'request' && (length === '0' || reader.value('transfer-encoding')) ? undefined : length,
    body: reader.digest(),
    trailers: reader.complete ? reader.trailers : [],
    ending: head === undefined ? 'nothing' : reader.complete ? 'whole' : 'broken'
  }
}

async function run(
  each: Case,
  port: number,
  upstreamOf: () => Promise<RawConnection>
): Promise<{ upstream: Seen; client: Seen }> {
  const client = await connectTo(port, /^(\w+)/.exec(String(each.request))?.[1])
  const sending = typeof each.request === 'function' ? each.request(client) : client.send(each.request)
  const upstream = await upstreamOf()
  await Promise.all([
    sending,
    typeof each.response === 'function' ? each.response(upstream) : respondWhenDone(upstream, each.response),
    each.client?.(client) ?? client.done()
  ])
  const result = { upstream: seen(upstream.reader), client: seen(client.reader) }
  client.socket.destroy()
  upstream.socket.destroy()
  return result
}

async function respondWhenDone(upstream: RawConnection, bytes: string | Buffer): Promise<void> {
  await upstream.done()
  await upstream.send(bytes)
}

for (const each of identicalCases) {
  await test(each.name, async t => {
    let arrived: (connection: RawConnection) => void
    const server = await serveRaw(connection => arrived(connection))
    t.teardown(() => server.close())
    const { port } = await startProxyTo(t, server.url)
    const next = (): (() => Promise<RawConnection>) => {
      const connection = new Promise<RawConnection>(resolve => (arrived = resolve))
      return () => connection
    }
    const direct = await run(each, server.port, next())
    const proxied = await run(each, port, next())
    if (each.reframed) {
      delete (direct.upstream as Partial<Seen>).length
      delete (proxied.upstream as Partial<Seen>).length
    }
    t.same(proxied.upstream, direct.upstream, 'the upstream receives the same')
    t.same(proxied.client, direct.client, 'the client receives the same')
    t.equal(direct.client.ending, each.ending ?? 'whole', 'the case is what it says')
  })
}
