// Owns who is compared: this proxy and its peers, each started in front of an upstream, and their versions.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/ports.js'
import { haproxyConfig, nginxConfig, type Place } from './peers/configs.js'
import { node, Process, PROXY_CPU } from './processes.js'

export interface Peer {
  name: string
  /** Undefined: it is not installed. */
  version: string | undefined
  start: (upstream: string) => Promise<Process>
}

const directory = mkdtempSync(join(tmpdir(), 'turnstile-bench-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

const startNode = (program: string, ...args: string[]): Promise<Process> =>
  Process.start(PROXY_CPU, node(program, ...args))

/** node's own flags for this proxy, as for a profile: `--cpu-prof`. */
const nodeFlags = process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []

/** This proxy, `flags` added. */
export function startThis(
  upstream: string,
  flags: readonly string[] = [],
  cpu = PROXY_CPU
): Promise<Process> {
  const data = mkdtempSync(join(directory, 'data-'))
  const [program, ...main] = node('../../src/main.js', '--upstream', upstream, '--data-dir', data)
  const places = [
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    '--store',
    `sqlite:${data}/turnstile.db`
  ]
  return Process.start(cpu, [program!, ...nodeFlags, ...main, ...places, ...flags])
}

/** A peer on node, out of this project's dev dependencies. */
const nodePeer = (name: string, program: string): Peer => ({
  name,
  version: packageVersion(name),
  start: upstream => startNode(program, upstream)
})

const program = (
  name: string,
  command: string,
  version: RegExp,
  config: (place: Place) => string,
  run: (file: string) => string[]
): Peer => ({
  name,
  version: programVersion(command, version),
  start: async upstream => {
    const port = await freePort()
    const file = join(directory, `${command}-${port}.conf`)
    writeFileSync(file, config({ port, upstream: new URL(upstream).host, directory }))
    return Process.startAt(PROXY_CPU, [command, ...run(file)], port)
  }
})

const nginx = (name: string, keepAlive: boolean): Peer =>
  program(
    name,
    'nginx',
    /nginx\/(\S+)/,
    place => nginxConfig(place, keepAlive),
    file => ['-c', file, '-e', 'stderr']
  )

export const THIS = 'this'
export const HTTP_PROXY = 'http-proxy'
export const NGINX = 'nginx keep-alive'

export const peers: readonly Peer[] = [
  {
    name: THIS,
    version: versionIn(fileURLToPath(new URL('../../../package.json', import.meta.url))),
    start: upstream => startThis(upstream)
  },
  nodePeer(HTTP_PROXY, './peers/http-proxy.js'),
  nodePeer('@fastify/http-proxy', './peers/fastify-http-proxy.js'),
  nodePeer('fast-proxy', './peers/fast-proxy.js'),
  nodePeer('httpxy', './peers/httpxy.js'),
  nginx('nginx', false),
  nginx(NGINX, true),
  program('HAProxy', 'haproxy', /version (\S+)/, haproxyConfig, file => ['-db', '-q', '-f', file])
]

function packageVersion(name: string): string | undefined {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? []
  return folders
    .map(folder => versionIn(join(folder, name, 'package.json')))
    .find(found => found !== undefined)
}

function versionIn(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

function programVersion(command: string, version: RegExp): string | undefined {
  const { stdout, stderr } = spawnSync(command, ['-v'], { encoding: 'utf8' })
  return version.exec(`${stdout}${stderr}`)?.[1]
}
