// Owns the trial of a built image: runs it as `docker run` would, as its own user, and looks at it from outside.
// Arguments: the command that is buildah, the image. The last line is `N passed, N failed`.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

const [buildah, image] = process.argv.slice(2)
const patienceMs = 15_000

let passed = 0
let failed = 0
function check(name, got, wanted = true) {
  const ok = isDeepStrictEqual(got, wanted)
  if (ok) passed++
  else failed++
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`)
  if (!ok) console.log('    wanted:', wanted, '\n    got:   ', got)
}

const run = (...args) => execFileSync(buildah, args, { encoding: 'utf8' }).trim()

const { config } = JSON.parse(run('inspect', '--type', 'image', image)).Docker
check('it runs as an unprivileged user', config.User, '1000:1000')
check('its state is in a volume', Object.keys(config.Volumes), ['/data'])
check('it exposes both ports', Object.keys(config.ExposedPorts).sort(), ['8080/tcp', '9090/tcp'])
check('it starts without a shell', config.Entrypoint, ['node', '/app/dist/src/main.js'])
check('its proxy listens on all addresses', config.Env.includes('TURNSTILE_LISTEN=0.0.0.0:8080'))
check('its admin port does not', config.Env.includes('TURNSTILE_ADMIN=127.0.0.1:9090'))

const container = run('from', '--pull-never', image)
const root = run('mount', container)
const inRoot = (...paths) => paths.filter(path => existsSync(join(root, path)))
check('it has no development packages', inRoot('app/node_modules/typescript', 'app/src', 'app/test'), [])
check('it has no shell', inRoot('bin', 'usr/bin'), [])
const sizeMb = Math.round(execFileSync('du', ['-sb', root], { encoding: 'utf8' }).split('\t')[0] / 1e6)
console.log(`    ${sizeMb} MB`)
check('it is smaller than 200 MB', sizeMb < 200)
check(
  'it has nothing of the machine that built it',
  inRoot('root/.npmrc', 'usr/local/etc/npmrc', 'run/npm-ca.pem'),
  []
)

const upstream = createServer((request, response) => {
  response.write(`${request.method} ${request.url} `)
  request.pipe(response)
})
const upstreamPort = await listen(upstream)
const [proxyPort, adminPort] = [await freePort(), await freePort()]

const evaluate = code => runInContainer(['node', '-e', code])
const write = async path => (await once(evaluate(`fs.writeFileSync('${path}', '')`), 'exit'))[0]
check('its root is read-only here', [await write('/tmp/file'), await write('/data/file')], [1, 0])

let output = ''
const turnstile = runInContainer([...config.Entrypoint, '--upstream', `http://127.0.0.1:${upstreamPort}`])
turnstile.stdout.on('data', chunk => (output += chunk))
turnstile.stderr.on('data', chunk => (output += chunk))
const ended = once(turnstile, 'exit')
try {
  check('it answers /healthz', (await ask(`http://127.0.0.1:${adminPort}/healthz`)).status, 200)
  const answer = await ask(`http://127.0.0.1:${proxyPort}/stream/a?b=c`, { method: 'POST', body: 'hello' })
  check('it forwards a request', answer, { status: 200, body: 'POST /stream/a?b=c hello' })
  const healthCheck = runInContainer(config.Healthcheck.Test.slice(1))
  check('its health check succeeds', (await once(healthCheck, 'exit'))[0], 0)
  const volume = await text(evaluate(`console.log(fs.readdirSync('/data').join('\\n'))`).stdout)
  check('its database is in the volume', volume.split('\n').includes('turnstile.db'))
  const status = readFileSync(`/proc/${mainProcess()}/status`, 'utf8')
  check('its process is that user', /^Uid:\s+(\d+)/m.exec(status)?.[1], '1000')
  process.kill(mainProcess(), 'SIGTERM')
  const end = await Promise.race([ended, sleep(patienceMs, 'still running', { ref: false })])
  check('it ends in order on SIGTERM', end, [0, null])
} catch (error) {
  console.log(error)
  failed++
}
if (failed > 0) console.log(output)
if (turnstile.exitCode === null) process.kill(mainProcess(), 'SIGKILL')
await ended
upstream.close()
run('rm', container)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

/**
 * With the image's user, environment and volume, and all else read-only; on the host's network, hence on ports that are
 * free there. `buildah run` has no `--read-only`: each folder of the root is mounted over itself.
 */
function runInContainer(command) {
  const env = [
    '--env',
    `TURNSTILE_LISTEN=0.0.0.0:${proxyPort}`,
    '--env',
    `TURNSTILE_ADMIN=127.0.0.1:${adminPort}`
  ]
  // Buildah mounts files of its own there, and removes some at the end.
  for (const path of ['etc/hostname', 'etc/hosts', 'etc/resolv.conf', 'run/.containerenv'])
    appendFileSync(join(root, path), '')
  const folders = readdirSync(root).filter(name => !['data', 'dev', 'proc', 'sys'].includes(name))
  const readOnly = folders.map(name => `--volume=${join(root, name)}:/${name}:ro`)
  return spawn(buildah, ['run', '--isolation', 'chroot', ...env, ...readOnly, container, '--', ...command])
}

/** The process in the container: the last in the line of buildah's children. */
function mainProcess() {
  const childOf = new Map()
  for (const pid of readdirSync('/proc').filter(
    name => /^\d+$/.test(name) && existsSync(`/proc/${name}/status`)
  )) {
    const [, parent] = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    childOf.set(Number(parent), Number(pid))
  }
  let pid = turnstile.pid
  while (childOf.has(pid)) pid = childOf.get(pid)
  return pid
}

async function ask(url, init) {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      const response = await fetch(url, init)
      return { status: response.status, body: await response.text() }
    } catch (error) {
      if (Date.now() > deadline || turnstile.exitCode !== null) throw error
      await sleep(100)
    }
  }
}

async function listen(server) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server.address().port
}

async function freePort() {
  const probe = createServer()
  const port = await listen(probe)
  await once(probe.close(), 'close')
  return port
}
