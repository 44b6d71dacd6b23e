// Owns upstreams behind TLS: the certificate is checked against the upstream's name, and bodies and streams pass.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Turnstile } from '../../support/turnstile.js'

/** Self-signed, for the name `localhost`. */
const pem = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/support/tls/${name}.pem`, import.meta.url))

async function proxyToTls(t: Test, host: string): Promise<string> {
  const tls = { key: readFileSync(pem('key')), cert: readFileSync(pem('cert')) }
  const server = createServer(tls, (req, res) => {
    if (req.method === 'POST') req.pipe(res.writeHead(200, { 'x-host': req.headers.host }))
    else res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const directory = mkdtempSync(join(tmpdir(), 'turnstile-tls-'))
  const turnstile = await Turnstile.start(
    `https://${host}:${(server.address() as AddressInfo).port}`,
    directory
  )
  t.teardown(async () => {
    await turnstile.stop()
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true })
  })
  return turnstile.proxyUrl
}

process.env.NODE_EXTRA_CA_CERTS = pem('cert')

await test('bodies of all sizes and streams pass', async t => {
  const url = await proxyToTls(t, 'localhost')
  for (const size of [0, 1, 20_000, 5_000_000]) {
    const body = 'x'.repeat(size)
    const answer = await fetch(url, { method: 'POST', body })
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('x-host'), new URL(url).host, "the client's Host, not the name for TLS")
    t.ok((await answer.text()) === body, `${size} bytes`)
  }
  const stream = (await fetch(url)).body!.getReader()
  const { value } = (await stream.read()) as { value: Uint8Array }
  t.equal(Buffer.from(value).toString(), 'data: first\n\n')
  await stream.cancel()
})

await test('502 where the certificate is for another name', async t => {
  const url = await proxyToTls(t, '127.0.0.1')
  t.equal((await fetch(url)).status, 502)
})
