// Owns TLS on both ports with the real process: MCP and operators over it, certificates that change, and client certificates.
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import t from 'tap'
import { run } from '../support/command-line.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Turnstile } from '../support/turnstile.js'

const directory = t.testdir()
const at = (name: string): string => join(directory, name)

/** An authority of its own, or a certificate that it signed. */
function makeCertificate(name: string, by?: string): void {
  const subject = ['-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const signer = by === undefined ? [] : ['-CA', at(`${by}.pem`), '-CAkey', at(`${by}.key`)]
  const names = by === undefined ? [] : ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...signer, ...names], { stdio: 'ignore' })
}

for (const [name, by] of [
  ['ca'],
  ['one', 'ca'],
  ['two', 'ca'],
  ['operator', 'ca'],
  ['stranger-ca'],
  ['stranger', 'stranger-ca']
])
  makeCertificate(name!, by)
const use = (name: string): void => {
  copyFileSync(at(`${name}.pem`), at('cert.pem'))
  copyFileSync(at(`${name}.key`), at('key.pem'))
}
use('one')

const gateway = await startFakeGateway((req, res) => {
  if (req.url !== '/echo') return false
  res.end(JSON.stringify(req.headers))
  return true
})
const turnstile = await Turnstile.start(gateway.url, at('data'), [
  ...['--tls-cert', at('cert.pem'), '--tls-key', at('key.pem')],
  ...[
    '--admin-tls-cert',
    at('cert.pem'),
    '--admin-tls-key',
    at('key.pem'),
    '--admin-tls-client-ca',
    at('ca.pem')
  ]
])
t.teardown(async () => {
  await turnstile.stop()
  await gateway.stop()
})
const ca = readFileSync(at('ca.pem'))
const clientOf = (name: string) => ({
  cert: readFileSync(at(`${name}.pem`)),
  key: readFileSync(at(`${name}.key`))
})

/** A request over TLS; rejects where the connection is refused. */
function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; client?: string } = {}
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  const { client, ...rest } = options
  return new Promise((resolve, reject) => {
    request(url, { ca, agent: false, ...rest, ...(client !== undefined && clientOf(client)) }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => (body += part))
      response.once('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
      response.once('error', reject)
    })
      .once('error', reject)
      .end()
  })
}

void t.test('MCP over TLS: counted, and the gateway is told of it', async t => {
  t.match(turnstile.proxyUrl, /^https:/)
  t.match(turnstile.adminUrl, /^https:/)
  const opened = await ask(`${turnstile.proxyUrl}/stream/e1`, { method: 'POST' })
  t.equal(opened.status, 200)
  const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) }
  const echo = JSON.parse((await ask(`${turnstile.proxyUrl}/echo`)).body) as Record<string, string>
  t.equal(echo['x-forwarded-proto'], 'https')
  const count = async (): Promise<unknown> =>
    JSON.parse(
      (await ask(`${turnstile.adminUrl}/api/connections/endpoint/count`, { client: 'operator' })).body
    )
  while (((await count()) as { connect_num: number }).connect_num !== 1) await sleep(20)
  t.equal((await ask(`${turnstile.proxyUrl}/stream/e1`, { method: 'DELETE', headers: session })).status, 202)
  while (((await count()) as { connect_num: number }).connect_num !== 0) await sleep(20)
})

void t.test('what speaks no TLS harms nothing', async t => {
  await t.rejects(fetch(turnstile.proxyUrl.replace('https:', 'http:')))
  t.equal((await ask(`${turnstile.proxyUrl}/echo`)).status, 200)
})

void t.test('the admin port refuses who shows no certificate of the authority', async t => {
  await t.rejects(ask(`${turnstile.adminUrl}/healthz`))
  await t.rejects(ask(`${turnstile.adminUrl}/healthz`, { client: 'stranger' }))
  t.equal((await ask(`${turnstile.adminUrl}/healthz`, { client: 'operator' })).status, 200)
  const url = ['--admin-url', turnstile.adminUrl]
  const files = [
    '--admin-ca',
    at('ca.pem'),
    '--admin-cert',
    at('operator.pem'),
    '--admin-key',
    at('operator.key')
  ]
  t.match(await run(['count', ...url, ...files]), { code: 0, stdout: /^0 open/ })
  t.match(await run(['count', ...url]), { code: 3, stderr: /does not respond/ })
})

void t.test(
  'a certificate that changes is used from the next connection on; a bad one changes nothing',
  async t => {
    const { port } = new URL(turnstile.proxyUrl)
    const nameShown = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect({ port: Number(port), host: '127.0.0.1', ca }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN))
          socket.destroy()
        }).once('error', reject)
      })
    t.equal(await nameShown(), 'one')
    writeFileSync(at('key.pem'), '-----BEGIN nonsense')
    while (!turnstile.log.some(({ msg }) => /TLS files cannot be used/.test(String(msg)))) await sleep(50)
    t.equal(await nameShown(), 'one')
    use('two')
    while ((await nameShown()) !== 'two') await sleep(50)
  }
)

void t.test('files that do not fit stop the start with exit code 2', async t => {
  const start = (...flags: string[]) => run(['--upstream', gateway.url, ...flags])
  for (const [flags, message] of [
    [['--tls-cert', at('one.pem')], /--tls-cert and --tls-key go together/],
    [
      ['--tls-cert', at('one.pem'), '--tls-key', at('two.key')],
      /--tls-cert and --tls-key cannot be used: .*key/
    ],
    [
      ['--tls-cert', at('none.pem'), '--tls-key', at('two.key')],
      /--tls-cert ".*" cannot be used: give a file/
    ],
    [['--admin-tls-client-ca', at('ca.pem')], /--admin-tls-cert and --admin-tls-key go together/]
  ] as [string[], RegExp][]) {
    t.match(await start(...flags), { code: 2, stderr: message })
  }
})
