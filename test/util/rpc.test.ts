// Owns the tests of calls between threads and processes: results, errors with their codes, time-outs, and a side that ends.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { TurnstileError } from '../../src/util/errors.js'
import { connect, ipcChannel, portChannel, type Remote, RemoteError } from '../../src/util/rpc.js'

class NotToday extends TurnstileError {
  readonly code = 'NOT_TODAY'
}

const methods = {
  double: (n: number) => n * 2,
  halves: async (numbers: Float64Array) => Promise.resolve(numbers.map(n => n / 2)),
  nothing: () => undefined,
  refuse(): void {
    throw new NotToday('not today')
  },
  fail: () => Promise.reject(new Error('no code')),
  hang: () => new Promise<void>(() => undefined),
  uncloneable: () => () => undefined
}
type Methods = typeof methods

/** The child process of the tests over IPC runs this file too. */
if (process.argv[2] === 'child') {
  connect(ipcChannel(process), methods, { timeoutMs: 1_000 })
} else {
  void t.test('over a port', async t => {
    const { near, remote } = ports(t, methods)
    await answers(t, remote)
    t.strictSame(await remote.halves(new Float64Array([2, 4])), new Float64Array([1, 2]), 'structured clone')
    await t.rejects(remote.uncloneable(), { message: /could not be cloned/ }, 'the caller is told')
    near.close()
  })

  void t.test('over IPC', async t => {
    const child = fork(import.meta.filename, ['child'])
    t.teardown(() => child.kill())
    const remote = connect<Methods>(ipcChannel(child), {}, { timeoutMs: 10_000 })
    await answers(t, remote)
    const pending = t.rejects(remote.hang(), { message: 'it ended' })
    child.once('exit', () => remote.$close(new Error('it ended')))
    child.kill()
    await once(child, 'exit')
    await pending
    await t.rejects(remote.double(1), /closed/)
  })

  void t.test('a message that cannot be sent rejects the call', async t => {
    const child = fork(import.meta.filename, ['child'])
    child.kill()
    await once(child, 'exit')
    const remote = connect<Methods>(ipcChannel(child), {}, { timeoutMs: 10_000 })
    await t.rejects(remote.double(1), { code: 'ERR_IPC_CHANNEL_CLOSED' })
  })

  void t.test('a call without a response rejects after the time-out', async t => {
    const { remote } = ports(t, methods, 20)
    await t.rejects(remote.hang(), { code: 'TIMEOUT', message: 'hang: there is no response within 20 ms' })
    t.equal(await remote.double(1), 2)
  })

  void t.test('without a time-out it waits', async t => {
    const { remote } = ports(t, { hang: () => sleep(50) }, Infinity)
    t.equal(await remote.hang(), undefined)
  })

  void t.test('calls wait for methods that are not there yet, and fail as these do', async t => {
    const { remote } = ports(
      t,
      sleep(20).then(() => methods)
    )
    t.equal(await remote.double(2), 4)
    const failed = ports(t, Promise.reject(new NotToday('no start')))
    await t.rejects(failed.remote.double(2), { code: 'NOT_TODAY', message: 'no start' })
  })
}

function ports(t: Test, ours: object | Promise<object>, timeoutMs = 10_000) {
  const { port1: near, port2: far } = new MessageChannel()
  t.teardown(() => near.close())
  connect(portChannel(far), ours, { timeoutMs })
  return { near, remote: connect<Methods>(portChannel(near), {}, { timeoutMs }) }
}

async function answers(t: Test, remote: Remote<Methods>): Promise<void> {
  t.equal(await remote.double(21), 42)
  t.equal(await remote.nothing(), undefined)
  const refused = await remote.refuse().catch((error: unknown) => error)
  t.type(refused, RemoteError)
  t.match(refused, { code: 'NOT_TODAY', message: 'not today' })
  await t.rejects(remote.fail(), { code: 'FAILED', message: 'no code' })
  await t.rejects(remote.$call('missing' as 'double', 1), { message: /not a function/ })
}
