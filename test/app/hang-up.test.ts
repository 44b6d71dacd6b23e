// Owns SIGHUP: tokens and gateways are read again from their files, by one process and by several; a bad file changes nothing.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { UpstreamInfo } from '../../src/admin/schemas/monitoring-responses.js'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Subscriber } from '../support/subscriber.js'
import { Turnstile } from '../support/turnstile.js'

const [OLD, NEW] = ['o'.repeat(16), 'n'.repeat(16)]

for (const workers of ['1', '2'])
  void t.test(`--workers ${workers}`, async t => {
    const [one, two] = [await startFakeGateway(), await startFakeGateway()]
    const directory = t.testdir()
    const [tokens, gateways] = [join(directory, 'tokens'), join(directory, 'gateways')]
    writeFileSync(tokens, OLD)
    writeFileSync(gateways, `one=${one.url}\n`)
    const turnstile = await Turnstile.start(one.url, directory, [
      ...['--workers', workers, '--admin-token-file', tokens, '--upstream-file', gateways]
    ])
    t.teardown(async () => {
      await turnstile.stop()
      await Promise.all([one.stop(), two.stop()])
    })
    const ask = async (token: string, path = '/api/mcp/upstreams'): Promise<Response> =>
      await fetch(turnstile.adminUrl + path, { headers: { authorization: `Bearer ${token}` } })
    const told = async (message: RegExp): Promise<void> => {
      while (!turnstile.log.some(({ msg }) => message.test(String(msg)))) await sleep(10)
    }
    const subscriber = await Subscriber.connect(turnstile.adminUrl, { auth: { token: OLD } })
    const disconnected = new Promise(resolve => subscriber.socket.once('disconnect', resolve))
    t.equal((await ask(OLD)).status, 200)

    writeFileSync(tokens, '\n')
    turnstile.process.kill('SIGHUP')
    await told(/^SIGHUP: a file cannot be used/)
    t.equal((await ask(OLD)).status, 200, 'a bad file changes nothing')

    writeFileSync(tokens, NEW)
    writeFileSync(gateways, `one=${one.url}\ntwo=${two.url}\n`)
    turnstile.process.kill('SIGHUP')
    await told(/^SIGHUP: tokens and lists are read again/)
    t.equal((await ask(OLD)).status, 401)
    t.equal((await ask(NEW)).status, 200)
    await disconnected
    for (;;) {
      const listed = (await (await ask(NEW)).json()) as UpstreamInfo[]
      if (listed.some(({ name }) => name === 'two')) break
      await sleep(50)
    }
    t.notMatch(JSON.stringify(turnstile.log), new RegExp(`${OLD}|${NEW}`))
  })
