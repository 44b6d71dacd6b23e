// Owns what is looked at of the process under test: its memory, open sockets, and what keeps its event loop busy.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { evaluate, memoryUsedBytes } from '../support/inspector.js'

/** A process's state at one moment. */
export interface ProcessFigures {
  memoryBytes: number
  /** Between clients, the proxy and the gateway. */
  sockets: number
  timers: number
}

export async function processFigures(
  pid: number,
  inspectorPort: number,
  ports: readonly number[]
): Promise<ProcessFigures> {
  const memoryBytes = await memoryUsedBytes(inspectorPort)
  const timers = await evaluate(
    inspectorPort,
    "process.getActiveResourcesInfo().filter(type => type === 'Timeout' || type === 'Immediate').length"
  )
  return { memoryBytes, timers: timers as number, sockets: openSockets(pid, ports) }
}

/** The process's connections from or to these ports; those of whoever asks its admin port or inspector come and go. */
function openSockets(pid: number, ports: readonly number[]): number {
  const directory = `/proc/${pid}/fd`
  const inodes = readdirSync(directory).map(
    file => /socket:\[(\d+)\]/.exec(linkOf(`${directory}/${file}`))?.[1]
  )
  return tcpSockets().filter(
    ({ inode, listening, local, remote }) =>
      !listening && inodes.includes(inode) && (ports.includes(local) || ports.includes(remote))
  ).length
}

/** Linux: proc_net_tcp(5). */
function tcpSockets(): { local: number; remote: number; listening: boolean; inode: string }[] {
  const [, ...rows] = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n')
  return rows.map(row => {
    const [, local, remote, state, , , , , , inode] = row.trim().split(/\s+/)
    return { local: portOf(local!), remote: portOf(remote!), listening: state === '0A', inode: inode! }
  })
}

const portOf = (address: string): number => parseInt(address.split(':')[1]!, 16)

/** Empty for a file that was closed since. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
