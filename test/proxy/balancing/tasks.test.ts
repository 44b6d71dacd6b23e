// Owns reading which task a response creates, and remembering its gateway.
import t from 'tap'
import { TaskIdReader, TaskOwners } from '../../../src/proxy/balancing/tasks.js'

const created = (taskId: string): string =>
  `{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":${JSON.stringify(taskId)},"status":"working"}}`

const read = (...parts: string[]): (string | undefined)[] => {
  const reader = new TaskIdReader()
  return parts.map(part => reader.feed(Buffer.from(part)))
}

void t.test('the id of a task that a response creates is read', t => {
  t.same(read(created('a-1')), ['a-1'])
  t.same(read(`event: message\ndata: ${created('a "b" ü')}\n\n`), ['a "b" ü'])
  const noise = `data: ${'x'.repeat(5_000)}\n\n`
  t.same(read(noise, noise, created('late')), [undefined, undefined, 'late'])
  const text = created('split')
  for (let at = 1; at < text.length; at++)
    t.ok(read(text.slice(0, at), text.slice(at)).includes('split'), `in two parts, cut at ${at}`)
  t.end()
})

void t.test('what only looks like a task is none', t => {
  t.same(read('{"result":{"taskId":"a","status":"working"}}'), [undefined], 'the state of a task')
  const quoted = JSON.stringify({ result: { content: [{ type: 'text', text: created('a') }] } })
  t.same(read(quoted), [undefined], 'the text of a tool')
  t.same(read('{"result":{"resultType":"task","taskId":"\\u12"}}'), [undefined], 'no JSON')
  t.same(read('{"result":{"resultType":"task","taskId":7}}'), [undefined])
  t.end()
})

void t.test('gateways of tasks are remembered, those of the last 20,000', t => {
  const owners = new TaskOwners()
  const task = (n: number) => ({ endpointId: 'e', taskId: String(n) })
  for (let n = 0; n <= 20_000; n++) owners.note(task(n), 'a')
  t.equal(owners.of(task(0)), undefined)
  t.equal(owners.of(task(1)), 'a')
  t.equal(owners.of({ endpointId: 'f', taskId: '1' }), undefined, 'a task belongs to an endpoint')
  owners.note({ endpointId: 'e', taskId: 'x'.repeat(256) }, 'a')
  t.equal(owners.of({ endpointId: 'e', taskId: 'x'.repeat(256) }), undefined, 'ids are bounded too')
  t.end()
})
