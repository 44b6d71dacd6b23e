// Owns socket activation (systemd, sd_listen_fds(3)): the socket where clients connect belongs to whoever starts this process, and
// outlives it. So no connection is refused while one process ends and the next one starts.
import cluster from 'node:cluster'

/** The first descriptor that is handed over (SD_LISTEN_FDS_START). */
const FIRST_FD = 3

/**
 * The descriptor of the socket to listen on; undefined: none was handed over. Throws where there are several. A worker gets
 * that of its parent: Node's cluster opens it there.
 */
export function activatedSocket(env: NodeJS.ProcessEnv): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: sockets } = env
  if (sockets === undefined || Number(pid) !== (cluster.isWorker ? process.ppid : process.pid))
    return undefined
  if (sockets !== '1')
    throw new Error(
      `${sockets} sockets are handed over (LISTEN_FDS): only one can be used, in place of --listen`
    )
  return FIRST_FD
}
