// Owns restarts behind a socket that outlives the process (systemd): no connection is refused, no request fails.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startFakeGateway } from '../support/fake-gateway.js'
import { SocketHolder } from '../support/socket-holder.js'

void t.test('restarts under load', async t => {
  const gateway = await startFakeGateway()
  t.teardown(() => gateway.stop())
  const directory = t.testdir()
  const store = `sqlite:${directory}/turnstile.db`
  const flags = ['--upstream', gateway.url, '--data-dir', directory, '--store', store]
  const holder = await SocketHolder.start([flags])
  t.teardown(() => holder.stop())
  const agent = new Agent({ keepAlive: false })
  const ask = async (): Promise<number> => {
    const options = { path: '/stream/e', method: 'POST', agent }
    const asked = request(holder.url, options).end('{}')
    const [response] = (await once(asked, 'response')) as [NodeJS.ReadableStream & { statusCode: number }]
    await once(response.resume(), 'end')
    return response.statusCode
  }
  let asking = true
  let answered = 0
  const asked = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (asking) {
        if ((await ask()) !== 200) t.fail('a request failed')
        answered++
        await sleep(5)
      }
    })
  )
  for (let restart = 0; restart < 2; restart++) {
    const before = answered
    while (answered < before + 8) await sleep(5)
    t.equal(await holder.restart(0), holder.url)
  }
  asking = false
  await asked
  t.ok(answered > 16)
})
