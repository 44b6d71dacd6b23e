// Owns principals and conversations end to end: real JWTs and keys through the process, as an operator sees them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { jwt } from '../support/jwt.js'
import { call } from '../support/session-less.js'
import { type ConnectionJson, Turnstile } from '../support/turnstile.js'

const gateway = await startFakeGateway((request, response) => {
  if (request.headers.authorization !== 'Bearer refused') return false
  response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
  return true
})
t.teardown(() => gateway.stop())

const ISSUER = 'https://id.example'
const bearer = (sub: string, rest: object = {}): string => `Bearer ${jwt({ iss: ISSUER, sub, ...rest })}`

async function start(t: Test, flags: string[] = []): Promise<Turnstile> {
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
  t.teardown(() => turnstile.stop())
  return turnstile
}

/** Sends a request of Streamable HTTP; returns its session, the one that the response opened or the one given. */
async function send(
  turnstile: Turnstile,
  headers: Record<string, string>,
  { endpoint = 'e', meta = {} }: { endpoint?: string; meta?: object } = {}
): Promise<string> {
  const response = await fetch(`${turnstile.proxyUrl}/stream/${endpoint}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x', _meta: meta } })
  })
  await response.arrayBuffer()
  return response.headers.get('mcp-session-id') ?? headers['mcp-session-id'] ?? ''
}

async function rowOf(turnstile: Turnstile, sessionId: string): Promise<ConnectionJson | undefined> {
  await turnstile.shipped()
  return (await turnstile.connections()).find(row => row.session_id === sessionId)
}

void t.test('sessions show on whose behalf they are used, and in which conversation', async t => {
  const turnstile = await start(t)
  const ann = await send(turnstile, { authorization: bearer('ann', { client_id: 'agent' }) })
  const keyed = await send(turnstile, { 'x-api-key': 'a key' })
  const nobody = await send(turnstile, {})
  t.match(await rowOf(turnstile, ann), {
    principal: `${ISSUER}#ann`,
    principal_kind: 'oauth',
    oauth_client: 'agent',
    conversation: null
  })
  t.match(await rowOf(turnstile, keyed), { principal: /^key-[\w-]{22}$/, principal_kind: 'key' })
  t.match(await rowOf(turnstile, nobody), { principal: null, principal_kind: null, oauth_client: null })

  await send(turnstile, { 'mcp-session-id': nobody, authorization: bearer('late') })
  await send(turnstile, { 'mcp-session-id': nobody }, { meta: { 'openai/session': 'v1/c' } })
  t.match(
    await rowOf(turnstile, nobody),
    { principal: `${ISSUER}#late`, conversation: 'v1/c' },
    'as soon as known'
  )
  const info = await turnstile.query(`/api/mcp/connections/${nobody}`)
  t.match(info, { principal: `${ISSUER}#late`, principalKind: 'oauth', conversation: 'v1/c' })
  await send(turnstile, { 'mcp-session-id': keyed, authorization: 'Bearer refused' })
  t.match(await rowOf(turnstile, keyed), { principal_kind: 'key' }, 'what is refused says nothing')
  t.notMatch(JSON.stringify(turnstile.log), 'two principals')
})

void t.test('a session of two principals keeps the first one, and that is told once', async t => {
  const turnstile = await start(t)
  const id = await send(turnstile, { authorization: bearer('ann') })
  for (const sub of ['ann', 'bob', 'bob', 'carl', 'ann'])
    await send(turnstile, { 'mcp-session-id': id, authorization: bearer(sub) })
  t.match(await rowOf(turnstile, id), { principal: `${ISSUER}#ann` })
  const told = turnstile.log.filter(({ msg }) => /two principals/.test(String(msg)))
  t.match(told, [{ endpointId: 'e' }])
  t.notMatch(JSON.stringify(told), 'ann')
  const metrics = await (await fetch(`${turnstile.adminUrl}/metrics`)).text()
  t.match(metrics, /^turnstile_principal_mismatches_total 1$/m)
})

void t.test(
  'a session-less client whose token is refreshed is the same; another person is another',
  async t => {
    const turnstile = await start(t)
    const ask = async (authorization: string): Promise<void> => {
      const client = { userAgent: 'agent', authorization, name: 'agent' }
      await (await call(`${turnstile.proxyUrl}/stream/e`, client, 'tools/list')).arrayBuffer()
    }
    for (let i = 0; i < 5; i++) await ask(bearer('ann', { exp: i }))
    await ask(bearer('bob'))
    await turnstile.shipped()
    const rows = await turnstile.connections()
    t.same(rows.map(row => [row.principal, row.transport_type]).sort(), [
      [`${ISSUER}#ann`, 3],
      [`${ISSUER}#bob`, 3]
    ])
  }
)

void t.test('a header field of a trusted proxy, hashed names, none, and masks', async t => {
  const trusted = ['--principal-header', 'X-User', '--trusted-proxy', '127.0.0.1']
  const byHeader = await start(t, trusted)
  const id = await send(byHeader, { 'x-user': 'ann', authorization: bearer('x') })
  t.match(await rowOf(byHeader, id), { principal: 'ann', principal_kind: 'header', oauth_client: null })
  const distrusting = await start(t, ['--principal-header', 'X-User', '--trusted-proxy', '192.0.2.1'])
  const fromAnybody = await send(distrusting, { 'x-user': 'ann' })
  t.match(await rowOf(distrusting, fromAnybody), { principal: null, principal_kind: null })

  const hashed = await start(t, ['--principals', 'hashed'])
  const ofAnn = await send(hashed, { authorization: bearer('ann') })
  t.match(await rowOf(hashed, ofAnn), { principal: /^oauth-[\w-]{22}$/, principal_kind: 'oauth' })

  const off = await start(t, ['--principals', 'off'])
  const unknown = await send(off, { authorization: bearer('ann') })
  t.match(await rowOf(off, unknown), { principal: null, principal_kind: null })

  const masked = await start(t, ['--mask'])
  await send(masked, { authorization: bearer('ann', { azp: 'agent' }) }, { meta: { threadId: 'secret' } })
  await masked.shipped()
  const shown = JSON.stringify([
    await masked.connections(),
    await masked.query('/api/mcp/connections'),
    await masked.query('/api/mcp/status')
  ])
  t.notMatch(shown, /#ann|"agent"|"secret"/)
  t.match(shown, /masked-[0-9a-f]{16}/)
})

void t.test('an operator ends the sessions of a principal', async t => {
  const turnstile = await start(t)
  const [ann, , bob] = [
    await send(turnstile, { authorization: bearer('ann') }),
    await send(turnstile, { authorization: bearer('ann') }, { endpoint: 'f' }),
    await send(turnstile, { authorization: bearer('bob') })
  ]
  await turnstile.shipped()
  const principal = `${ISSUER}#ann`
  const end = (query: string): Promise<Response> =>
    fetch(`${turnstile.adminUrl}/api/mcp/connections${query}`, { method: 'DELETE' })
  t.equal((await end('')).status, 400)
  const response = await end(`?principal=${encodeURIComponent(principal)}`)
  t.match(await response.json(), { status: 'ended', principal, ended: 2, failed: [] })
  t.match(await rowOf(turnstile, ann), { reason: 'killed' })
  t.match(await rowOf(turnstile, bob), { reason: null })
  t.notOk([...gateway.sessions].some(id => id.endsWith(ann)))
})

void t.test('an erased name is in no answer, log or file, and stays so after a restart', async t => {
  const directory = t.testdir()
  const name = 'ann-whose-name-is-erased'
  let turnstile = await Turnstile.start(gateway.url, directory)
  t.teardown(() => turnstile.stop())
  const ids = [
    await send(turnstile, { authorization: bearer(name, { client_id: name }) }),
    await send(turnstile, { authorization: bearer(name) }, { endpoint: 'f' })
  ]
  await turnstile.shipped()
  t.not(filesWith(directory, name).length, 0)
  const path = `${turnstile.adminUrl}/api/mcp/principals/${encodeURIComponent(`${ISSUER}#${name}`)}`
  const erased = (await (await fetch(path, { method: 'DELETE' })).json()) as { token: string }
  t.match(erased, { status: 'erased', sessions: 2 })
  const logs = [turnstile.log]
  for (const id of ids) t.match(await rowOf(turnstile, id), { principal: erased.token, oauth_client: null })
  await send(turnstile, { 'mcp-session-id': ids[0]!, authorization: bearer(name) })
  t.match(await rowOf(turnstile, ids[0]!), { principal: erased.token }, 'the session goes on')
  t.match(await turnstile.query('/api/connections/endpoint/count'), { connect_num: 2, principal_num: 1 })
  // The other files are scrubbed with the next heartbeat, after at most a second.
  await sleep(2_000)
  t.same(filesWith(directory, name), [])
  await turnstile.kill()
  turnstile = await Turnstile.start(gateway.url, directory)
  await send(turnstile, { 'mcp-session-id': ids[0]!, authorization: bearer(name) })
  t.match(await rowOf(turnstile, ids[0]!), { principal: erased.token })
  t.same(
    await turnstile.query('/api/mcp/principals').then(list => JSON.stringify(list).includes(name)),
    false
  )
  t.notMatch(JSON.stringify([...logs, turnstile.log]), name)
})

void t.test(
  'who comes back after the erasure is stored again, through whichever proxy, and erased again',
  async t => {
    const directory = t.testdir()
    const store = ['--store', `sqlite:${directory}/ledger.db`]
    const [here, there] = await Promise.all(
      ['here', 'there'].map(async name => {
        const turnstile = await Turnstile.start(gateway.url, `${directory}/${name}`, store)
        t.teardown(() => turnstile.stop())
        return turnstile
      })
    )
    const path = `/api/mcp/principals/${encodeURIComponent(`${ISSUER}#ann`)}`
    const erase = async (): Promise<{ token: string; sessions: number }> => {
      const response = await fetch(`${here!.adminUrl}${path}`, { method: 'DELETE' })
      return (await response.json()) as { token: string; sessions: number }
    }
    const before = await send(there!, { authorization: bearer('ann') })
    await there!.shipped()
    const { token } = await erase()
    // Which is later than the erasure, in milliseconds.
    await sleep(5)
    await send(there!, { 'mcp-session-id': before, authorization: bearer('ann') })
    const after = await send(there!, { authorization: bearer('ann') })
    t.match(await rowOf(there!, before), { principal: token })
    t.match(await rowOf(there!, after), { principal: `${ISSUER}#ann` })
    t.match(await here!.query('/api/connections/endpoint/count'), { connect_num: 2, principal_num: 2 })
    t.match(await erase(), { token, sessions: 1 })
    t.match(await here!.query('/api/connections/endpoint/count'), { connect_num: 2, principal_num: 1 })
  }
)

/** The files below a directory that hold these bytes. */
const filesWith = (directory: string, bytes: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(file => readFileSync(file).includes(bytes))
