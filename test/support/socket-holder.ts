// Owns proxies that accept clients on one socket, which outlives them, as systemd has it: its stand-in listens, and starts a
// command again whenever its process ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import { MAIN } from './command-line.js'
import { freePort } from './ports.js'

/** Arguments: the commands, JSON. A process that fails ends all. */
const systemd = `
import json, os, signal, socket, sys
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen(4096)
def say(**line):
    os.write(1, (json.dumps(line) + '\\n').encode())
say(port=server.getsockname()[1])
commands = json.loads(sys.argv[1])
children = {}
def start(number):
    child = os.fork()
    if child == 0:
        os.dup2(server.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
        os.execv(commands[number][0], commands[number])
    children[child] = number
    say(number=number, child=child)
def end(*_):
    for child in children:
        os.kill(child, 9)
    os._exit(1)
signal.signal(signal.SIGTERM, end)
for number in range(len(commands)):
    start(number)
while True:
    child, status = os.wait()
    number = children.pop(child)
    say(number=number, status=os.waitstatus_to_exitcode(status))
    if status != 0:
        end()
    start(number)
`

/** A line of the stand-in, or of a proxy's log. */
interface Line {
  port?: number
  number?: number
  child?: number
  status?: number
  msg?: string
  proxyUrl?: string
  adminUrl?: string
}

export class SocketHolder {
  /** Where clients connect. */
  readonly url: string
  readonly adminUrls: readonly string[]
  readonly #holder: ChildProcess
  readonly #seen: EventEmitter
  readonly #pids: readonly number[]

  private constructor(
    port: number,
    adminUrls: readonly string[],
    { holder, seen, pids }: { holder: ChildProcess; seen: EventEmitter; pids: readonly number[] }
  ) {
    this.url = `http://127.0.0.1:${port}`
    this.adminUrls = adminUrls
    this.#holder = holder
    this.#seen = seen
    this.#pids = pids
  }

  /** Starts a proxy with each of these flags; their addresses are given here. Throws when one of them fails. */
  static async start(flags: readonly (readonly string[])[]): Promise<SocketHolder> {
    const admins: string[] = []
    for (let i = 0; i < flags.length; i++) admins.push(`127.0.0.1:${await freePort()}`)
    // What the socket is handed over in place of: no machine has this address.
    const places = (i: number): string[] => ['--listen', '192.0.2.1:1', '--admin', admins[i]!]
    const commands = flags.map((own, i) => [process.execPath, MAIN, ...places(i), ...own])
    const holder = spawn('python3', ['-c', systemd, JSON.stringify(commands)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const seen = new EventEmitter()
    const pids: number[] = []
    createInterface(holder.stdout).on('line', text => {
      const { port, number, child, status, msg, proxyUrl, adminUrl } = JSON.parse(text) as Line
      if (port !== undefined) seen.emit('port', port)
      if (child !== undefined) pids[number!] = child
      if (status !== undefined) seen.emit(`end of ${number}`, status)
      if (status !== undefined && status !== 0) seen.emit('error', new Error(`exit code ${status}`))
      if (msg === 'listening') seen.emit(adminUrl!, proxyUrl)
    })
    const adminUrls = admins.map(address => `http://${address}`)
    const listening = adminUrls.map(url => once(seen, url))
    const [port] = (await once(seen, 'port')) as [number]
    await Promise.all(listening)
    return new SocketHolder(port, adminUrls, { holder, seen, pids })
  }

  /** Ends a proxy in order. Resolves once its successor listens, with the URL that this one says. Throws when one of both fails. */
  async restart(number: number): Promise<string> {
    const ended = once(this.#seen, `end of ${number}`)
    const listening = once(this.#seen, this.adminUrls[number]!)
    process.kill(this.#pids[number]!, 'SIGTERM')
    await ended
    const [proxyUrl] = (await listening) as [string]
    return proxyUrl
  }

  async stop(): Promise<void> {
    const exited = once(this.#holder, 'exit')
    this.#holder.kill('SIGTERM')
    await exited
  }

  /** For the end of a run that failed. */
  killNow(): void {
    this.#holder.kill('SIGTERM')
  }
}
