// Owns how gateways are named in settings: `URL` or `NAME=URL`, several with commas between them, or one in each line of a file.
import { readFileSync } from 'node:fs'
import { reasonOf } from '../util/errors.js'

/** A gateway as the settings name it. */
export interface UpstreamAddress {
  /** `host:port`, unless the settings give another one; rows, metrics and routes call the gateway so. */
  name: string
  /** Its base URL. */
  url: URL
}

/** A file with gateways, and what it said when it was read. */
export interface UpstreamFile {
  path: string
  upstreams: UpstreamAddress[]
}

/** Chosen: far more than one proxy can serve; each is a connection, a name in metrics, and a look in each decision. */
const MAX_UPSTREAMS = 256
const DEFAULT_PORTS: Record<string, string> = { 'http:': '80', 'https:': '443', 'dns+http:': '80' }
/** A name fits the column `upstream`, and a path of the admin port. */
const entry = /^(?:([\w][\w.:-]{0,127})=(?!dns\+))?((?:https?|dns\+http):\/\/[^/?#@\s]+(?:\/[^?#\s]*)?)$/i
/** A comma inside a path is a part of it: only one before another URL stands between two gateways. */
const separator = /,\s*(?=(?:[\w.:-]+=)?(?:https?|dns\+http):\/\/)/i

/** Gateways with commas between them; undefined where one of them is none, or two have one name. */
export function parseUpstreams(text: string): UpstreamAddress[] | undefined {
  const entries = text.split(separator)
  return faultOfEntries(entries) === undefined ? entries.map(read) : undefined
}

/** Why gateways with commas between them cannot be used, if each of them alone can. */
export function faultOfNames(text: string): string | undefined {
  const entries = text.split(separator)
  return entries.every(isEntry) ? faultOfEntries(entries) : undefined
}

/** Reads a file of gateways, in which `#` begins a comment. Throws an error whose message says what is wrong. */
export function readUpstreamFile(path: string): UpstreamAddress[] {
  const lines = readFileSync(path, 'utf8')
    .split(/\r?\n/)
    .map(line => line.replace(/(^|\s)#.*$/, '').trim())
    .filter(line => line !== '')
  const fault = lines.length === 0 ? 'it names no gateway' : faultOfEntries(lines)
  if (fault !== undefined) throw new Error(fault)
  return lines.map(read)
}

/** Whether each address of the URL's name is a gateway: `dns+http://name:port`. */
export const isByDns = ({ url }: UpstreamAddress): boolean => url.protocol === 'dns+http:'

/** The gateway, where there is one and it stays the only one. */
export function onlyUpstream({
  upstreams,
  upstreamFile
}: {
  upstreams: readonly UpstreamAddress[]
  upstreamFile: UpstreamFile | undefined
}): UpstreamAddress | undefined {
  const [first, ...others] = upstreams
  return upstreamFile === undefined && others.length === 0 && first && !isByDns(first) ? first : undefined
}

/** The URLs of the gateways, as operators see them. */
export const shownUpstreams = ({ upstreams }: { upstreams: readonly UpstreamAddress[] }): string =>
  upstreams.map(({ url }) => url.href).join(',')

/** What is wrong with gateways of several settings together; undefined: nothing. */
export function faultOfUpstreams(upstreams: readonly UpstreamAddress[]): string | undefined {
  if (upstreams.length > MAX_UPSTREAMS) return `${upstreams.length} gateways are more than ${MAX_UPSTREAMS}`
  const names = upstreams.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  return twice === undefined
    ? undefined
    : `two gateways are called ${JSON.stringify(twice)}: give one of them a name, as in name=URL`
}

/** Why a file cannot be used, for an error message. */
export function faultOfFile(path: string): string | undefined {
  try {
    return faultOfUpstreams(readUpstreamFile(path))
  } catch (error) {
    return reasonOf(error)
  }
}

function faultOfEntries(texts: readonly string[]): string | undefined {
  const bad = texts.find(text => !isEntry(text))
  // What comes before an @ in a URL may be a password.
  if (bad !== undefined) return `${bad.includes('@') ? 'a line' : JSON.stringify(bad)} is no gateway`
  return faultOfUpstreams(texts.map(read))
}

function isEntry(text: string): boolean {
  const url = entry.exec(text)?.[2]
  return url !== undefined && URL.canParse(url)
}

function read(text: string): UpstreamAddress {
  const [, name, href] = entry.exec(text)!
  const url = new URL(href!)
  return { name: name ?? `${url.hostname}:${url.port || DEFAULT_PORTS[url.protocol]!}`, url }
}
