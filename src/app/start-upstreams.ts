// Owns the start of an instance's gateways: those of `--upstream`, and those of `--upstream-file`, which is read again when it changes.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import {
  faultOfUpstreams,
  readUpstreamFile,
  type UpstreamAddress,
  type UpstreamFile
} from '../config/upstream-list.js'
import type { UpstreamSettings } from '../proxy/balancing/upstream.js'
import { Upstreams } from '../proxy/balancing/upstreams.js'
import { quickAcks } from '../proxy/upstream/quick-acks.js'
import { reasonOf } from '../util/errors.js'
import type { Closable, OnClose } from '../util/startup.js'
import { SECOND_MS } from '../util/time.js'
import { DnsNames } from './dns-names.js'

/**
 * How often the file is read. Chosen: a new gateway gets sessions within a moment. Reading finds every change, also behind
 * the symbolic links by which Kubernetes replaces the files of a ConfigMap.
 */
const READ_INTERVAL_MS = SECOND_MS

/** At the start, a DNS that says nothing is waited for no longer. Chosen. */
const START_TIMEOUT_MS = 2 * SECOND_MS

/** The settings of the gateways. */
export interface GatewaySettings extends UpstreamSettings {
  /** Of `--upstream`. */
  upstream: UpstreamAddress[] | undefined
  upstreamFile: UpstreamFile | undefined
  /** Of both. */
  upstreams: readonly UpstreamAddress[]
}

/**
 * Starts with the gateways that the settings name. Resolves once the names among them were looked up; one that cannot be
 * looked up is no gateway until it can.
 */
export async function startUpstreams(
  { upstream = [], upstreamFile, upstreams: named, ...settings }: GatewaySettings,
  log: FastifyBaseLogger,
  onClose: OnClose
): Promise<Upstreams> {
  const names = new DnsNames(log)
  await Promise.race([names.set(named), sleep(START_TIMEOUT_MS, undefined, { ref: false })])
  const upstreams = new Upstreams({
    ...settings,
    upstreams: names.gateways(),
    acknowledge: quickAcks(log),
    log
  })
  onClose(() => upstreams.close())
  names.onChange = () => upstreams.set(names.gateways())
  onClose(() => names.close())
  if (upstreamFile === undefined) return upstreams
  const set = (ofFile: readonly UpstreamAddress[]): void => void names.set([...upstream, ...ofFile])
  const watch = watchFile(upstreamFile.path, upstream, set, log)
  onClose(() => watch.close())
  return upstreams
}

/** Calls `set` with the gateways of the file whenever they change; a file that cannot be used changes nothing, and is logged. */
function watchFile(
  path: string,
  others: readonly UpstreamAddress[],
  set: (ofFile: readonly UpstreamAddress[]) => void,
  log: FastifyBaseLogger
): Closable {
  const textOf = (): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      return `\0${reasonOf(error)}`
    }
  }
  let known = textOf()
  const read = (): void => {
    const text = textOf()
    if (text === known) return
    known = text
    try {
      const ofFile = readUpstreamFile(path)
      const fault = faultOfUpstreams([...others, ...ofFile])
      if (fault !== undefined) throw new Error(fault)
      set(ofFile)
    } catch (error) {
      log.warn(
        { file: path, reason: reasonOf(error) },
        'the file of --upstream-file cannot be used; its last good list stays'
      )
    }
  }
  const timer = setInterval(read, READ_INTERVAL_MS).unref()
  process.on('SIGHUP', read)
  return {
    close() {
      clearInterval(timer)
      process.off('SIGHUP', read)
      return Promise.resolve()
    }
  }
}
