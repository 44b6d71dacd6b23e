// Owns the counts by method and tool: what is counted, and that strangers cannot make labels without end.
import t from 'tap'
import type { Observation } from '../../src/sessions/observation.js'
import { OTHER, RequestCounts } from '../../src/sessions/request-counts.js'

const message = (rpcMethod: string | undefined, rpcName?: string, status = 202): Observation => ({
  kind: 'message',
  endpointId: 'e',
  sessionId: 's',
  status,
  client: { address: '192.0.2.1', userAgent: undefined },
  rpcMethod,
  rpcName,
  at: 0
})

void t.test('accepted requests, by method and tool', t => {
  const counts = new RequestCounts()
  t.equal(counts.methods.get('tools/call'), 0, 'there from the start')
  for (const observation of [
    message('tools/call', 'echo'),
    message('tools/call', 'echo'),
    message('tools/call'),
    message('tools/call', 'echo', 404),
    message('prompts/get', 'greeting'),
    message(undefined),
    message('made/up'),
    { kind: 'visit-message', visitor: 'v', at: 0 } as const
  ])
    counts.observe(observation)
  t.equal(counts.methods.get('tools/call'), 3)
  t.equal(counts.methods.get('prompts/get'), 1)
  t.equal(counts.methods.get(OTHER), 1)
  t.same(
    [...counts.tools],
    [
      [OTHER, 0],
      ['echo', 2]
    ]
  )
  t.end()
})

void t.test('labels are bounded', t => {
  const counts = new RequestCounts()
  counts.observe(message('tools/call', 'x'.repeat(129)))
  for (let i = 0; i < 500; i++) {
    counts.observe(message('tools/call', `tool${i}`))
    counts.observe(message(`method${i}`))
  }
  counts.observe(message('tools/call', 'tool0'))
  t.equal(counts.tools.size, 101)
  t.equal(counts.tools.get('tool0'), 2)
  t.equal(
    [...counts.tools.values()].reduce((sum, n) => sum + n),
    502
  )
  t.equal(counts.methods.get(OTHER), 500)
  t.end()
})
