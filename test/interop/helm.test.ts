// Owns that the Helm chart renders: what comes out is what Kubernetes takes, and gives the program settings that it has.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { stringify } from 'yaml'
import { parseConfig } from '../../src/config/read-settings.js'
import { helmRenderer } from './install.js'

const chart = resolve(import.meta.dirname, '../../../docker/helm/mcp-turnstile')
const secrets = {
  store: 'mysql://turnstile:secret@mysql:3306/turnstile',
  adminToken: 'an-admin-token-of-24-byte',
  metricsToken: 'a-metrics-token-of-24-by'
}
const upstreams = ['dns+http://gateway:3000']

interface Rendered {
  kind: string
  metadata: { name: string }
  spec: Record<string, unknown>
  stringData: Record<string, string>
}

/** The objects of the chart with these values. Throws what Helm or Kubernetes has against them. */
async function render(values: object): Promise<Rendered[]> {
  const child = spawn(helmRenderer, [chart])
  child.stdin.end(stringify(values))
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number]>
  ])
  if (code !== 0) throw new Error(errors)
  return JSON.parse(output) as Rendered[]
}

const kinds = (objects: readonly Rendered[]): string[] =>
  objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()

interface Pod {
  containers: { args: string[]; image: string; ports: { name: string; containerPort: number }[] }[]
  terminationGracePeriodSeconds: number
}
const podOf = (objects: readonly Rendered[]): Pod =>
  (objects.find(({ kind }) => kind === 'StatefulSet')!.spec['template'] as { spec: Pod }).spec

void t.test('two proxies on MySQL, by default', async t => {
  const objects = await render({ upstreams, secrets, settings: { 'stream-path': '/mcp', workers: 2 } })
  t.same(kinds(objects), [
    'NetworkPolicy release-mcp-turnstile',
    'PodDisruptionBudget release-mcp-turnstile',
    'Secret release-mcp-turnstile',
    'Service release-mcp-turnstile',
    'Service release-mcp-turnstile-admin',
    'Service release-mcp-turnstile-pods',
    'StatefulSet release-mcp-turnstile'
  ])
  const { containers, terminationGracePeriodSeconds } = podOf(objects)
  const [{ args, ports }] = containers as [Pod['containers'][0]]
  const { stringData } = objects.find(({ kind }) => kind === 'Secret')!
  const folder = t.testdir({ 'admin-tokens': stringData['admin-tokens']!, store: stringData['store']! })
  const config = parseConfig(
    args.map(arg => arg.replace('/secrets/', `${folder}/`)),
    { TURNSTILE_LISTEN: '0.0.0.0:8080' }
  )
  t.match(config.store, { kind: 'mysql', url: secrets.store })
  t.match(config.adminTokenFile, [
    { secret: secrets.adminToken, scope: 'write' },
    { secret: secrets.metricsToken, scope: 'metrics' }
  ])
  t.equal(config.workers, 2)
  t.same(
    ports.map(({ containerPort }) => containerPort),
    [config.listen.port, config.admin.port]
  )
  t.ok(terminationGracePeriodSeconds * 1_000 > config.drainTimeoutMs + config.drainDelayMs + 5_000)
})

void t.test('everything that can be switched on', async t => {
  const objects = await render({
    secrets: { existing: 'of-my-own' },
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
    networkPolicy: {
      clients: [{ namespaceSelector: {} }],
      operators: [{ podSelector: { matchLabels: { a: 'b' } } }]
    },
    gateway: {
      headlessService: { enabled: true, selector: { app: 'mcp-gateway' } },
      autoscaling: { enabled: true, targetName: 'mcp-gateway' }
    },
    persistence: { storageClass: 'fast' },
    podAnnotations: { a: 'b' }
  })
  t.same(
    kinds(objects).filter(name => !/^(NetworkPolicy|PodDisruptionBudget|StatefulSet)/.test(name)),
    [
      'ScaledObject release-mcp-turnstile-gateways',
      'Service release-mcp-turnstile',
      'Service release-mcp-turnstile-admin',
      'Service release-mcp-turnstile-gateways',
      'Service release-mcp-turnstile-pods',
      'ServiceMonitor release-mcp-turnstile'
    ]
  )
  t.ok(
    podOf(objects).containers[0]!.args.includes('--upstream=dns+http://release-mcp-turnstile-gateways:3000')
  )
  t.match(objects.find(({ kind }) => kind === 'ScaledObject')!.spec, {
    scaleTargetRef: { kind: 'StatefulSet', name: 'mcp-gateway' },
    triggers: [{ type: 'prometheus', metadata: { threshold: '100' } }]
  })
})

void t.test('one proxy on SQLite', async t => {
  const objects = await render({ upstreams, replicas: 1, secrets: { adminToken: secrets.adminToken } })
  const { stringData } = objects.find(({ kind }) => kind === 'Secret')!
  t.equal(stringData['store'], 'sqlite:/data/turnstile.db')
})

void t.test('values that cannot work are refused with what to do', async t => {
  await t.rejects(render({ secrets }), { message: /give upstreams/ })
  await t.rejects(render({ upstreams, secrets: { adminToken: secrets.adminToken } }), {
    message: /more than one replica needs a MySQL store/
  })
  await t.rejects(render({ upstreams, secrets: { store: secrets.store } }), {
    message: /secrets\.adminToken/
  })
  await t.rejects(
    render({ upstreams, secrets: { ...secrets, metricsToken: '' }, serviceMonitor: { enabled: true } }),
    { message: /secrets\.metricsToken/ }
  )
})
