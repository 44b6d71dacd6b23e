// Owns an open-loop load: requests at a fixed rate, whatever the answers take, until stdin ends. Answers each line there with
// the figures of the requests answered since the line before, from the moment each was due. One in ten opens a session, the
// others use one.
// node open-load.js URL RATE
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import { type Latencies, quantiles } from './client.js'

export interface LoadState extends Latencies {
  failures: number
}

const CONNECTIONS = 64
const OPENS_EVERY = 10
const BODY = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'

const [target, ratePerS] = process.argv.slice(2) as [string, string]
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
let latenciesMs: number[] = []
let failures = 0
let session: string | undefined

function send(dueMs: number, opens: boolean): void {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': BODY.length,
    ...(!opens && session !== undefined && { 'mcp-session-id': session })
  }
  const sent = request(target, { method: 'POST', agent, headers }, response => {
    session ??= response.headers['mcp-session-id'] as string
    if (response.statusCode !== 200) failures++
    response.resume().once('close', () => latenciesMs.push(performance.now() - dueMs))
  })
  sent.once('error', () => failures++)
  sent.end(BODY)
}

const startedMs = performance.now()
let requests = 0
setInterval(() => {
  for (let dueMs; (dueMs = startedMs + (requests * 1000) / Number(ratePerS)) <= performance.now();)
    send(dueMs, requests++ % OPENS_EVERY === 0)
}, 1)

for await (const _ of createInterface(process.stdin)) {
  const state: LoadState = { ...quantiles(latenciesMs), failures }
  console.log(JSON.stringify(state))
  latenciesMs = []
  failures = 0
}
process.exit()
