// Owns that docker/compose.yaml and the Dockerfile agree with the program and with each other: settings, ports, secrets,
// health checks. That Compose reads the file is the matter of test/interop/compose.test.ts, the image's of .ci/image.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { helpText } from '../../src/config/help.js'
import { parseConfig } from '../../src/config/read-settings.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { freePort } from '../support/ports.js'
import { Turnstile } from '../support/turnstile.js'

interface Service {
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  environment?: Record<string, string>
  secrets?: string[]
  ports?: string[]
  volumes?: string[]
  healthcheck?: { test: string[] }
  stop_grace_period?: string
  deploy?: { resources: { limits: object } }
}

const root = resolve(import.meta.dirname, '../../..')
const docker = join(root, 'docker')
const read = (path: string): unknown => parse(readFileSync(join(docker, path), 'utf8'), { merge: true })
const { services, secrets, volumes } = read('compose.yaml') as {
  services: Record<'turnstile' | 'mysql' | 'prometheus' | 'grafana', Service>
  secrets: Record<string, { file: string }>
  volumes: Record<string, null>
}

const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ')
const instruction = (name: string): string => new RegExp(`^${name} +(.*)$`, 'm').exec(dockerfile)![1]!
const imageEnv = Object.fromEntries(
  instruction('ENV')
    .split(/\s+/)
    .map(assignment => /^(\w+)=(.*)$/.exec(assignment)!.slice(1, 3) as [string, string])
)
const env: Record<string, string> = { ...imageEnv, ...services.turnstile.environment }

const folder = t.testdir()
execFileSync(join(docker, 'make-secrets'), [folder])
const secret = (name: string): string => readFileSync(join(folder, name), 'utf8').trim()
/** As the container has them, but for where the secrets are. */
const config = parseConfig([], {
  ...Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value.replace('/run/secrets', folder)])
  ),
  TURNSTILE_UPSTREAM: 'http://gateway:3000'
})

void t.test('every setting given is one', t => {
  const flags = helpText()
  const given = [...Object.keys(imageEnv), ...Object.keys(services.turnstile.environment!)]
  const ours = given.filter(name => name.startsWith('TURNSTILE_'))
  t.ok(ours.length >= 8)
  for (const name of ours)
    t.match(flags, `--${name.replace('TURNSTILE_', '').toLowerCase().replaceAll('_', '-')} `, name)
  t.match(env['TURNSTILE_UPSTREAM'], /^\$\{UPSTREAM:\?.+\}$/, 'the gateway is asked for')
  t.end()
})

void t.test('ports are those that the program listens on', t => {
  const { listen, admin } = config
  t.strictSame(
    services.turnstile.ports!.map(port => Number(port.split(':').at(-1))),
    [listen.port, admin.port]
  )
  t.strictSame(instruction('EXPOSE').split(' ').map(Number), [listen.port, admin.port])
  const open = Object.values(services).flatMap(({ ports = [] }) => ports.filter(port => !/^127\./.test(port)))
  t.strictSame(open, ['8080:8080'], 'only the proxy can be reached from elsewhere')
  const { scrape_configs } = read('prometheus/prometheus.yaml') as {
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }
  t.strictSame(scrape_configs[0]!.static_configs[0]!.targets, [`turnstile:${admin.port}`])
  t.end()
})

void t.test('secrets are made once, and are those that the services share', t => {
  t.strictSame(new Set(Object.keys(secrets)), new Set(Object.values(services).flatMap(s => s.secrets ?? [])))
  for (const [name, { file }] of Object.entries(secrets)) {
    t.equal(file, `./secrets/${name}`)
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o444)
  }
  const before = Object.keys(secrets).map(secret)
  t.equal(new Set(before).size, before.length)
  execFileSync(join(docker, 'make-secrets'), [folder])
  t.strictSame(Object.keys(secrets).map(secret), before)
  for (const [name, { secrets = [], environment = {} }] of Object.entries(services)) {
    const files = Object.values(environment).filter(value => value.startsWith('/run/secrets/'))
    for (const file of files) t.ok(secrets.includes(file.replace('/run/secrets/', '')), `${name} ${file}`)
  }
  const { MYSQL_USER, MYSQL_DATABASE } = services.mysql.environment!
  t.strictSame(config.store, {
    kind: 'mysql',
    url: `mysql://${MYSQL_USER}:${secret('mysql-password')}@mysql:3306/${MYSQL_DATABASE}`
  })
  const [operator, scraper] = secret('admin-tokens').split('\n')
  t.match(config.adminTokenFile, [{ secret: operator, scope: 'write' }])
  t.equal(scraper, `metrics:${secret('metrics-token')}`)
  t.match(read('prometheus/prometheus.yaml'), {
    scrape_configs: [{ authorization: { credentials_file: '/run/secrets/metrics-token' } }]
  })
  t.end()
})

void t.test('each container is locked down, has limits and a health check, and keeps what it must', t => {
  for (const [name, service] of Object.entries(services)) {
    t.match(service, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }, name)
    t.match(service.deploy?.resources.limits, { cpus: String, memory: String, pids: Number }, name)
    t.ok(service.healthcheck ?? name === 'turnstile', name)
    for (const volume of service.volumes!) {
      const [source] = volume.split(':') as [string]
      if (source.startsWith('.')) t.ok(existsSync(join(docker, source)), volume)
      else t.hasOwnProp(volumes, source)
    }
  }
  t.ok(services.turnstile.volumes!.includes(`turnstile:${config.dataDir}`))
  t.ok(parseInt(services.turnstile.stop_grace_period!) * 1_000 > config.drainTimeoutMs + config.drainDelayMs)
  t.end()
})

void t.test('the health check of the image finds the admin port where flags or variables put it', async t => {
  const command = JSON.parse(instruction('HEALTHCHECK').replace(/^.*?CMD +/, '')) as string[]
  const script = join(root, command[1]!.replace('/app/', ''))
  const check = (pid: number, address: string) =>
    new Promise(resolve => {
      const env = { ...process.env, TURNSTILE_ADMIN: address, TURNSTILE_ADMIN_TOKEN: 's3cret-s3cret-s3cret' }
      execFile(process.execPath, [script, String(pid)], { env }).once('exit', resolve)
    })
  const gateway = await startFakeGateway()
  const port = await freePort()
  const flags = ['--admin', `127.0.0.1:${port}`, '--admin-token', 's3cret-s3cret-s3cret']
  const turnstile = await Turnstile.start(gateway.url, t.testdir(), flags)
  t.teardown(async () => {
    await turnstile.stop()
    await gateway.stop()
  })
  const elsewhere = `127.0.0.1:${await freePort()}`
  t.equal(await check(turnstile.process.pid!, elsewhere), 0, 'by a flag, which wins')
  t.equal(await check(process.pid, `0.0.0.0:${port}`), 0, 'by a variable')
  t.equal(await check(process.pid, elsewhere), 1)
})
