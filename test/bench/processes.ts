// Owns the processes of the benchmarks: each on one CPU, its CPU time and memory as Linux tells them, none left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** The proxy under test has this CPU for itself; upstream and load share the other. */
export const PROXY_CPU = '1'
export const OTHER_CPU = '0'
export const BOTH_CPUS = '0,1'

/** USER_HZ, the unit of /proc/PID/stat. */
const TICK_US = 10_000
const PAGE_BYTES = 4096
const STARTED_WITHIN_MS = 10_000

/** The state of a connection in /proc/net/tcp. */
const ESTABLISHED = '01'

const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach(child => child.kill('SIGKILL')))

/** The command for a program of this folder. */
export const node = (program: string, ...args: (string | number)[]): string[] => [
  process.execPath,
  fileURLToPath(new URL(program, import.meta.url)),
  ...args.map(String)
]

export class Process {
  readonly #child: ChildProcess
  readonly url: string

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  /** Resolves with the URL in the first line of output that has one. */
  static async start(cpu: string, command: readonly string[]): Promise<Process> {
    const child = pinned(cpu, command)
    for await (const line of createInterface(child.stdout!)) {
      const url = /"proxyUrl":"([^"]+)"/.exec(line)?.[1] ?? /^http:\S+$/.exec(line)?.[0]
      const address = /^listening on (\S+)$/.exec(line)?.[1]
      if (url !== undefined || address !== undefined) {
        child.stdout!.resume()
        return new Process(child, url ?? `http://${address!}`)
      }
    }
    throw new Error(`${command.join(' ')} ended before it listened`)
  }

  /** For a program that says nothing: resolves once it accepts connections on `port`. */
  static async startAt(cpu: string, command: readonly string[], port: number): Promise<Process> {
    const child = pinned(cpu, command)
    child.stdout!.resume()
    for (const until = Date.now() + STARTED_WITHIN_MS; Date.now() < until; await delay(20)) {
      if (await accepts(port)) return new Process(child, `http://127.0.0.1:${port}`)
    }
    throw new Error(`${command.join(' ')} does not listen on port ${port}`)
  }

  /** So far, all threads, user and system. */
  cpuUs(): number {
    return cpuUsOf(this.#child.pid!)
  }

  /** So far, each process that this one started. */
  childrenCpuUs(): number[] {
    const { pid } = this.#child
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return pids.filter(Boolean).map(child => cpuUsOf(Number(child)))
  }

  /** So far, all threads. */
  counters(): Counters {
    const directory = `/proc/${this.#child.pid!}`
    const statuses = readdirSync(`${directory}/task`).map(thread =>
      readFileSync(`${directory}/task/${thread}/status`, 'utf8')
    )
    return {
      contextSwitches: sum(statuses.flatMap(status => numbersAt(status, /ctxt_switches:\s+(\d+)/g))),
      readsAndWrites: sum(numbersAt(readFileSync(`${directory}/io`, 'utf8'), /^sysc[rw]: (\d+)/gm))
    }
  }

  /** Its connections to a port of this machine. */
  connectionsTo(port: number): number {
    const directory = `/proc/${this.#child.pid!}`
    const sockets = new Set(
      readdirSync(`${directory}/fd`).map(
        fd => /^socket:\[(\d+)\]$/.exec(linkAt(`${directory}/fd/${fd}`))?.[1]
      )
    )
    const lines = readFileSync(`${directory}/net/tcp`, 'utf8').trim().split('\n').slice(1)
    const remotePort = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
    return lines
      .map(line => line.trim().split(/\s+/))
      .filter(
        fields => fields[2]!.endsWith(remotePort) && fields[3] === ESTABLISHED && sockets.has(fields[9])
      ).length
  }

  /** Resident memory. */
  rssBytes(): number {
    return stat(this.#child.pid!, 21)[0]! * PAGE_BYTES
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
  }
}

/** What the kernel counts of a process. */
export interface Counters {
  contextSwitches: number
  /** Calls of `read`, `write` and their kin; those that are for sockets only, `recv` and `send`, are not among them. */
  readsAndWrites: number
}

/** A program that lives until its stdin ends, and answers each line there with one on stdout, JSON. */
export class Helper<Answer> {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(cpu: string, command: readonly string[]) {
    this.#child = pinned(cpu, command)
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]()
  }

  /** The next line. */
  async read(): Promise<Answer> {
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('A helper of the benchmarks ended')
    return JSON.parse(line.value) as Answer
  }

  async ask(): Promise<Answer> {
    this.#child.stdin!.write('\n')
    return this.read()
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.stdin!.end()
    await exited
  }
}

/** Runs a program to its end; what it printed, JSON. */
export async function run<Result>(cpu: string, command: readonly string[]): Promise<Result> {
  const child = pinned(cpu, command)
  let output = ''
  child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command.join(' ')}: exit code ${code}`)
  return JSON.parse(output) as Result
}

function pinned(cpu: string, command: readonly string[]): ChildProcess {
  const child = spawn('taskset', ['-c', cpu, ...command], { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

function cpuUsOf(pid: number): number {
  const [utime, stime] = stat(pid, 11, 12)
  return (utime! + stime!) * TICK_US
}

/** Fields of /proc/PID/stat, counted from the one after the name. */
function stat(pid: number, ...fields: number[]): number[] {
  const all = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return fields.map(field => Number(all[field]))
}

/** Where a link leads; empty if it is gone by now. */
function linkAt(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

const numbersAt = (text: string, pattern: RegExp): number[] =>
  [...text.matchAll(pattern)].map(([, digits]) => Number(digits))

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
