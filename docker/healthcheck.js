// Owns the health check of the image: asks /healthz of the admin port, where the flags and variables of the process put it.
// The argument is the process, 1 by default, as it is in a container.
import { readFileSync } from 'node:fs'
import { parseConfig } from '../dist/src/config/read-settings.js'

/** The flags that a process was started with; none where it is another program. */
function flagsOf(pid) {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  const program = words.findIndex(word => word.endsWith('dist/src/main.js'))
  return program === -1 ? ['--upstream', 'http://127.0.0.1'] : words.slice(program + 1)
}

const { host, port } = parseConfig(flagsOf(process.argv[2] ?? 1), process.env).admin
const url = new URL('http://localhost/healthz')
url.hostname = host.includes(':') ? `[${host}]` : host
url.port = String(port)
const { ok } = await fetch(url)
process.exit(ok ? 0 : 1)
