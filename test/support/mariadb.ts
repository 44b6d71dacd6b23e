// Owns the real MariaDB (or MySQL, or TiDB) that the tests run on: finds or installs one, starts it on a temporary directory
// and a free loopback port, and lets no server outlive the process that asked for it, whatever ends that process.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection } from 'mysql2/promise'
import { freePort } from './ports.js'
import { canInstallPackages, findProgram, installPackages } from './programs.js'
import { tidbProgram } from './tidb.js'

const user = 'mcpuser'
const password = 'mcppassword'
const database = 'mcp_gateway'
/** Where servers are besides PATH, which lacks `sbin` for users other than root. */
const serverFolders = [
  '/usr/sbin',
  '/usr/local/sbin',
  '/usr/libexec',
  '/usr/local/mysql/bin',
  '/opt/homebrew/bin'
]
const startTimeoutMs = 60_000
const shutdownTimeoutMs = 20_000

export interface Database {
  /** `mysql://user:password@127.0.0.1:port/database`; the user may create databases. */
  readonly url: string
  /** Ends the server and removes its files (of a server given by `TEST_MYSQL_URL`: this process's databases). */
  stop(): Promise<void>
  /** SIGKILL, as in a crash. */
  kill(): void
  /** SIGSTOP: it keeps its connections and does not respond; SIGCONT ends that. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Up again on the same port and data; shut down in order first if it still runs. */
  restart(): Promise<void>
}

export class DatabaseError extends Error {
  readonly code = 'TEST_DATABASE'
}

/**
 * The server in `TEST_MYSQL_URL` (one a test run, started by `test/run.ts`), else a new one: a TiDB if `TEST_TIDB_SERVER` is the
 * path of a tidb-server. `own` asks for a new one in any case: for tests that kill or restart it.
 */
export async function startDatabase({ own = false } = {}): Promise<Database> {
  const url = process.env['TEST_MYSQL_URL']
  return url && !own ? new SharedServer(url) : OwnServer.start()
}

const created: string[] = []

/** A new, empty, randomly named database on the server of `url`; answers its URL. */
export async function freshDatabase(url: string): Promise<string> {
  const name = `turnstile_${randomBytes(6).toString('hex')}`
  await query(url, `CREATE DATABASE ${name}`)
  created.push(name)
  const fresh = new URL(url)
  fresh.pathname = `/${name}`
  return fresh.href
}

async function query(url: string, ...statements: string[]): Promise<void> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 })
  try {
    for (const statement of statements) await connection.query(statement)
  } finally {
    connection.destroy()
  }
}

class SharedServer implements Database {
  constructor(readonly url: string) {}

  stop(): Promise<void> {
    return query(this.url, ...created.splice(0).map(name => `DROP DATABASE IF EXISTS ${name}`))
  }

  kill(): void {
    throw new DatabaseError('other tests use this server: take one with startDatabase({ own: true })')
  }

  signal(): void {
    this.kill()
  }

  restart(): Promise<void> {
    return Promise.reject(
      new DatabaseError('other tests use this server: take one with startDatabase({ own: true })')
    )
  }
}

/** Waits for the end of its input, so for the end of its parent too, then kills the server and removes its files. */
const watchdogScript = `
  cat >/dev/null
  if pid=$(cat "$1/pid"); then
    kill -s KILL -- "-$pid"
    tries=0
    while kill -s 0 -- "-$pid" && [ $tries -lt 40 ]; do sleep 0.05; tries=$((tries + 1)); done
  fi 2>/dev/null
  rm -rf "$1"`

class OwnServer implements Database {
  readonly #dir = mkdtempSync(join(tmpdir(), 'turnstile-db-'))
  readonly #watchdog: ChildProcess
  #server: ChildProcess | undefined

  private constructor(
    private readonly program: Program,
    private readonly port: number
  ) {
    const stdio: ['pipe', 'ignore', 'ignore'] = ['pipe', 'ignore', 'ignore']
    this.#watchdog = spawn('sh', ['-c', watchdogScript, 'sh', this.#dir], { detached: true, stdio })
    this.#watchdog.unref()
    ;(this.#watchdog.stdin as Socket).unref()
  }

  static async start(): Promise<OwnServer> {
    const program = serverProgram()
    for (let attempt = 1; ; attempt++) {
      const server = new OwnServer(program, await freePort())
      try {
        await server.#initialise()
        await server.#launch()
        return server
      } catch (error) {
        await server.stop()
        const portTaken = error instanceof DatabaseError && /address already in use/i.test(error.message)
        if (!portTaken || attempt === 5) throw error
      }
    }
  }

  get url(): string {
    return `mysql://${user}:${password}@127.0.0.1:${this.port}/${database}`
  }

  async stop(): Promise<void> {
    if (hasEnded(this.#watchdog)) return
    const gone = once(this.#watchdog, 'exit')
    this.#watchdog.ref()
    this.#watchdog.stdin?.end()
    await gone
  }

  kill(): void {
    this.#server?.kill('SIGKILL')
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#server?.kill(signal)
  }

  async restart(): Promise<void> {
    const running = this.#server
    if (running && !hasEnded(running)) {
      const gone = once(running, 'exit')
      running.ref()
      const timer = setTimeout(() => running.kill('SIGKILL'), shutdownTimeoutMs)
      if (!running.killed) running.kill('SIGTERM')
      await gone
      clearTimeout(timer)
    }
    await this.#launch()
  }

  async #initialise(): Promise<void> {
    const statements = [
      `CREATE DATABASE IF NOT EXISTS ${database}`,
      `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}'`,
      `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'%' WITH GRANT OPTION`
    ]
    const sql = statements.map(statement => `${statement};\n`).join('')
    writeFileSync(join(this.#dir, 'init.sql'), sql, { mode: 0o600 })
    const command = this.program.setUp(this.#dir)
    if (!command) return
    const [code] = (await once(this.#spawn(command), 'exit')) as [number | null]
    if (code !== 0) throw new DatabaseError(`the data directory was not set up:\n${this.#log()}`)
  }

  async #launch(): Promise<void> {
    const server = (this.#server = this.#spawn(this.program.start(this.#dir, this.port)))
    const deadline = Date.now() + startTimeoutMs
    for (;;) {
      if (hasEnded(server)) throw new DatabaseError(`the database server ended at its start:\n${this.#log()}`)
      const answers = await query(this.url, 'SELECT 1').then(
        () => true,
        () => false
      )
      if (answers) break
      if (Date.now() > deadline)
        throw new DatabaseError(`the database server does not answer:\n${this.#log()}`)
      await sleep(50)
    }
    server.unref()
  }

  /** In a process group of its own, which no Ctrl-C reaches and the watchdog can kill as a whole. */
  #spawn([command, args]: Command): ChildProcess {
    const log = openSync(join(this.#dir, 'log'), 'a')
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    writeFileSync(join(this.#dir, 'pid'), String(child.pid))
    return child
  }

  #log(): string {
    return readFileSync(join(this.#dir, 'log'), 'utf8').trimEnd().split('\n').slice(-15).join('\n')
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

type Command = readonly [program: string, args: string[]]

/** A server program. In its folder, `init.sql` makes the database and its user, and the data are in `data`. */
export interface Program {
  /** What sets up the data, if the server does not do so itself. */
  setUp(folder: string): Command | undefined
  start(folder: string, port: number): Command
}

/** Throws `DatabaseError` where there is none and none can be installed. */
function serverProgram(): Program {
  const tidb = process.env['TEST_TIDB_SERVER']
  if (tidb) return tidbProgram(tidb)
  const installed = findServer()
  if (installed) return installed
  if (canInstallPackages()) {
    // The core packages bring no service that starts by itself; older releases of Debian name them otherwise.
    if (!installPackages('mariadb-server-core', 'mariadb-client-core')) installPackages('mariadb-server')
    const fresh = findServer()
    if (fresh) return fresh
  }
  throw new DatabaseError(
    'no database server to test on: install mariadb-server, or set TEST_MYSQL_URL=mysql://user:password@host:port/database'
  )
}

function findServer(): Program | undefined {
  const server = findProgram(['mariadbd', 'mysqld'], serverFolders)
  if (!server) return undefined
  const { stdout } = spawnSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' })
  if (!/mariadb/i.test(stdout)) return mysqlProgram(server)
  const installer = findProgram(['mariadb-install-db', 'mysql_install_db'], serverFolders)
  return installer ? mysqlProgram(server, installer) : undefined
}

/** `installer`: of MariaDB only, sets up the data directory. MySQL's server does that itself. */
function mysqlProgram(server: string, installer?: string): Program {
  const common = (folder: string): string[] => [
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--datadir=${join(folder, 'data')}`
  ]
  return {
    setUp: folder =>
      installer
        ? [installer, [...common(folder), '--auth-root-authentication-method=normal', '--skip-test-db']]
        : [server, [...common(folder), '--initialize-insecure']],
    start: (folder, port) => [
      server,
      [
        ...common(folder),
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        `--socket=${join(folder, 'sock')}`,
        `--pid-file=${join(folder, 'server.pid')}`,
        // A server that starts deletes what looks like an old temporary table of its own.
        `--tmpdir=${folder}`,
        `--init-file=${join(folder, 'init.sql')}`,
        // MySQL 8 opens a second port for its X protocol, by default always the same one.
        ...(installer ? [] : ['--mysqlx=OFF'])
      ]
    ]
  }
}
