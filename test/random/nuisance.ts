// Owns requests that must leave no trace: made-up ids and endpoints, refusals, paths that are none. Any row of a ghost is a fault.
import type { Random } from '../support/random.js'
import { answerThat } from './answers.js'
import type { Sent } from './client.js'
import type { Script } from './scripted-gateway.js'
import { ENDPOINTS, encoded, type Stage } from './stage.js'

const JSON_TYPES = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}'
const initialize =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":{"name":"ghost","version":"1"}}}'

export async function nuisance(stage: Stage, random: Random): Promise<void> {
  const ghost = stage.name('ghost')
  const endpoint = random.chance(0.5) ? encoded(random.pick(ENDPOINTS)) : ghost
  const session = { ...JSON_TYPES, 'mcp-session-id': ghost }
  const fine: Script = {
    status: 200,
    headers: { 'content-type': 'application/json', 'mcp-session-id': ghost },
    body: '{}'
  }
  const refusal = answerThat(random, random.pick(['refused', 'gone', 'suspect']))
  const post = (path: string, headers: Record<string, string>, body = call): Sent => ({
    method: 'POST',
    path,
    headers,
    body
  })
  const acts: (() => [Sent, Script])[] = [
    () => [
      post(`/message?sessionId=${ghost}&endpointId=${endpoint}`, JSON_TYPES),
      { status: random.pick([202, 404]) }
    ],
    () => [
      post(
        `/message?session_id=${ghost}&sessionId=${ghost}&endpointId=${ghost}&endpointId=${endpoint}`,
        JSON_TYPES
      ),
      { status: 202 }
    ],
    () => [post(`/${endpoint}/sse?sessionId=${ghost}`, JSON_TYPES), { status: 202 }],
    () => [
      { method: 'DELETE', path: `/stream/${endpoint}`, headers: session },
      { status: random.pick([200, 202, 204]) }
    ],
    () => [post(`/stream/${endpoint}`, session), refusal],
    () => [
      post(`/stream/${endpoint}`, JSON_TYPES, initialize),
      { ...refusal, status: 503, headers: { 'mcp-session-id': ghost } }
    ],
    () => [post(`/stream`, JSON_TYPES, initialize), fine],
    () => [post(`/stream/${endpoint}/more`, JSON_TYPES, initialize), fine],
    () => [post(`/other/${endpoint}`, JSON_TYPES, initialize), fine],
    () => [post(`/stream/${ghost}%0A`, JSON_TYPES, initialize), fine],
    () => [post(`/stream/${ghost}%FF`, JSON_TYPES, initialize), fine],
    () => [
      post(`/stream/${endpoint}`, { ...JSON_TYPES, 'mcp-session-id': `${ghost} with spaces` }),
      { status: 200, body: '{}' }
    ],
    () => [
      post(`/stream/${endpoint}`, { ...session, 'mcp-protocol-version': '2026-07-28' }),
      answerThat(random, 'use')
    ],
    () => [
      {
        method: random.pick(['HEAD', 'OPTIONS', 'PUT', 'PATCH']),
        path: `/stream/${endpoint}`,
        headers: session
      },
      answerThat(random, 'use')
    ],
    () => [
      {
        method: random.pick(['HEAD', 'OPTIONS']),
        path: `/${endpoint}/sse`,
        headers: { accept: 'text/event-stream', 'user-agent': ghost }
      },
      { status: 200, headers: { 'content-type': 'text/event-stream' } }
    ],
    () => [
      legacyStream(endpoint, ghost),
      random.pick([
        { status: 404 },
        { status: 503 },
        { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' }
      ])
    ],
    () => [
      legacyStream(endpoint, ghost),
      { status: 200, headers: { 'content-type': 'text/event-stream' }, body: ': nothing to say\n\n' }
    ],
    () => [
      legacyStream(endpoint, ghost),
      {
        status: 200,
        headers: { 'content-type': 'text/event-stream' },
        body: `event: message\ndata: /message?sessionId=${ghost}\n\n`
      }
    ]
  ]
  const [sent, script] = random.pick(acts)()
  if (sent.method === 'HEAD' || script.status === 204) delete script.body
  await stage.send(random, sent, script).exchange.end
}

const legacyStream = (endpoint: string, agent: string): Sent => ({
  method: 'GET',
  path: `/${endpoint}/sse`,
  headers: { accept: 'text/event-stream', 'user-agent': agent }
})
