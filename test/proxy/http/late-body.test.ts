// Owns the tests of bodies that still come when the final response is out: 1 MiB or 5 s more are read, then the client is cut.
import { performance } from 'node:perf_hooks'
import { test, type Test } from 'tap'
import { requestHead, responseHead, startProxyTo, startUpstream } from '../../support/proxy-under-test.js'
import { connectTo, type RawConnection } from '../../support/raw-http.js'

const MIB = 1_048_576
const ok = responseHead('200 OK', 'Content-Length: 2') + 'ok'

/** A client that began an upload of `length` bytes, or of chunks, and has its response. */
const beginnings: Record<string, (t: Test, framing: string) => Promise<RawConnection>> = {
  'an early response': async (t, framing) => {
    const server = await startUpstream(t, async connection => {
      await connection.until(({ reader }) => reader.head !== undefined)
      await connection.send(ok)
    })
    return await responded(t, (await startProxyTo(t, server.url)).port, framing)
  },
  'a refusal': async (t, framing) => {
    const server = await startUpstream(t, () => undefined)
    const { port } = await startProxyTo(t, server.url, { allowedOrigin: ['http://allowed'] })
    return await responded(t, port, framing)
  },
  'an upstream that cannot be reached': async (t, framing) =>
    await responded(t, (await startProxyTo(t, new URL('http://127.0.0.1:9'))).port, framing)
}

async function responded(t: Test, port: number, framing: string): Promise<RawConnection> {
  const client = await connectTo(port)
  t.teardown(() => client.socket.destroy())
  await client.send(requestHead('POST /upload HTTP/1.1', 'Origin: http://other', framing))
  await client.done()
  return client
}

for (const [name, begin] of Object.entries(beginnings)) {
  await test(`an endless upload behind ${name} is cut`, async t => {
    const client = await begin(t, 'Content-Length: 3000000000')
    const part = Buffer.alloc(65_536)
    let cut = false
    client.socket.on('error', () => undefined).on('close', () => (cut = true))
    while (!cut) {
      if (!client.socket.write(part)) await new Promise(resolve => setTimeout(resolve, 1))
      if (client.socket.bytesWritten > 100 * MIB) break
    }
    t.ok(
      client.socket.bytesWritten < 20 * MIB,
      `cut after ${Math.round(client.socket.bytesWritten / MIB)} MiB in buffers and out`
    )
  })

  await test(`an upload that stops behind ${name} is cut after 5 s`, async t => {
    const client = await begin(t, 'Content-Length: 100')
    const started = performance.now()
    await client.closed()
    const tookMs = performance.now() - started
    t.ok(tookMs > 4_000 && tookMs < 10_000, `${Math.round(tookMs)} ms`)
  })

  await test(`the connection serves on after a short upload behind ${name}`, async t => {
    const client = await begin(t, 'Transfer-Encoding: chunked')
    for (let i = 0; i < 3; i++) {
      await client.send(`3e8\r\n${'x'.repeat(1_000)}\r\n`)
      await client.send('0\r\n\r\n')
      client.next()
      await client.send(
        requestHead('POST /upload HTTP/1.1', 'Origin: http://other', 'Transfer-Encoding: chunked')
      )
      await client.done()
      t.ok(client.reader.head)
    }
  })
}
