// Owns endpoint ids of all characters and paths of all spellings, with the real process: counted, and answered as they are.
import t from 'tap'
import type { EndpointInfo } from '../../src/admin/schemas/monitoring-responses.js'
import { byBytes } from '../support/brute-force.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Scrape } from '../support/scrape.js'
import { Subscriber } from '../support/subscriber.js'
import { Turnstile } from '../support/turnstile.js'

const IDS = ['知识库', 'my server', 'café', 'a/b', 'a"b\\c', '100%', '__proto__', '\u{1f600}', '\uffee']

const gateway = await startFakeGateway()
const turnstile = await Turnstile.start(gateway.url, t.testdir())
t.teardown(async () => {
  await turnstile.stop()
  await gateway.stop()
})

/** Opens a session; the status of the response. */
async function open(path: string): Promise<number> {
  const response = await fetch(`${turnstile.proxyUrl}${path}`, { method: 'POST', body: '{}' })
  await response.arrayBuffer()
  return response.status
}

const text = async (path: string, headers = {}): Promise<string> =>
  await (await fetch(turnstile.adminUrl + path, { headers })).text()

void t.test('an endpoint is answered with its id as it is', async t => {
  for (const id of IDS) t.equal(await open(`/stream/${encodeURIComponent(id)}`), 200)
  await turnstile.shipped()
  for (const id of IDS) t.equal(await turnstile.count(id), 1, id)
  const rows = await turnstile.connections()
  t.strictSame(new Set(rows.map(row => row.endpoint_id)), new Set(IDS))
  const csv = await text('/api/connections/endpoint', { accept: 'text/csv' })
  for (const id of IDS) t.ok(csv.includes(id.replaceAll('"', '""')), id)
  const { families } = await Scrape.of(turnstile.adminUrl)
  const labels = families.get('turnstile_sessions_active')!.samples.map(sample => sample.labels['endpoint'])
  for (const id of IDS) t.ok(labels.includes(id), id)
  const endpoints = await turnstile.query<EndpointInfo[]>('/api/mcp/endpoints')
  t.strictSame(
    endpoints.map(({ endpointId }) => endpointId),
    IDS.toSorted(byBytes)
  )
})

void t.test('live views and actions take such an id', async t => {
  const id = '知识库'
  const subscriber = await Subscriber.connect(turnstile.adminUrl)
  t.teardown(() => subscriber.socket.close())
  t.match(await subscriber.subscribe({ serverId: id }), { status: 'subscribed' })
  const drain = `${turnstile.adminUrl}/api/mcp/endpoints/${encodeURIComponent(id)}/drain`
  const drained = await fetch(drain, { method: 'PUT' })
  t.match(await drained.json(), { status: 'draining', endpointId: id })
  for (const path of ['/stream/%E7%9F%A5%E8%AF%86%E5%BA%93', '/stream/%e7%9f%a5识库/', '//STREAM/知识库'])
    t.equal(await open(path), 503, path)
  await (await fetch(drain, { method: 'DELETE' })).text()
  const ended = await fetch(
    `${turnstile.adminUrl}/api/mcp/connections?endpointId=${encodeURIComponent(id)}`,
    {
      method: 'DELETE'
    }
  )
  t.match(await ended.json(), { endpointId: id, ended: 1, failed: [] })
  t.equal(await turnstile.count(id), 0)
})
