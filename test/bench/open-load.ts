// Owns an open-loop load: requests at a fixed rate, whatever the answers take. Prints `requests failures p50 p99` (µs), from
// the moment each was due. One in ten opens a session, the others use one.
import { Agent, request } from 'node:http'

const CONNECTIONS = 64
const OPENS_EVERY = 10
const BODY = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'

const [target, ratePerS, durationMs] = process.argv.slice(2) as [string, string, string]
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const total = (Number(ratePerS) * Number(durationMs)) / 1000
const latencies: number[] = []
let failures = 0
let session: string | undefined

function send(dueMs: number, opens: boolean): Promise<void> {
  return new Promise(resolve => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'content-length': BODY.length,
      ...(!opens && session !== undefined && { 'mcp-session-id': session })
    }
    const sent = request(target, { method: 'POST', agent, headers }, response => {
      session ??= response.headers['mcp-session-id'] as string
      if (response.statusCode !== 200) failures++
      response.resume().once('close', () => {
        latencies.push(performance.now() - dueMs)
        resolve()
      })
    })
    sent.once('error', () => {
      failures++
      resolve()
    })
    sent.end(BODY)
  })
}

const startedMs = performance.now()
const answers: Promise<void>[] = []
await new Promise<void>(resolve => {
  const timer = setInterval(() => {
    for (let dueMs; (dueMs = startedMs + (answers.length * 1000) / Number(ratePerS)) <= performance.now();) {
      if (answers.length === total) {
        clearInterval(timer)
        return resolve()
      }
      answers.push(send(dueMs, answers.length % OPENS_EVERY === 0))
    }
  }, 1)
})
await Promise.all(answers)
agent.destroy()
latencies.sort((a, b) => a - b)
const at = (share: number): number => Math.round(latencies[Math.ceil(latencies.length * share) - 1]! * 1000)
console.log(latencies.length, failures, at(0.5), at(0.99))
