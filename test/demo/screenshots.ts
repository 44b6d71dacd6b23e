// Owns the pictures of the dashboard in the README: a real gateway, clients that come and go for some minutes, Chromium.
// Needs `npm run gateways`. Arguments: for how many minutes (12), and where the pictures go (beside this file).
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { startChromium } from '../support/chromium.js'
import { Gateway } from '../support/gateway.js'
import { Random } from '../support/random.js'
import { Turnstile } from '../support/turnstile.js'

const minutes = Number(process.argv[2] ?? 12)
const folder = process.argv[3] ?? join(import.meta.dirname, '../../../test/demo/screenshots')

const clientNames = ['code-assistant', 'docs-agent', 'support-bot', 'notebook', 'ci-runner', 'inspector']
const endpointIds = ['github', 'github', 'github', 'files', 'files', 'search', 'search', 'tickets', 'metrics']
const mostOpen = 60

const random = new Random(7)
const directory = mkdtempSync(join(tmpdir(), 'mcp-turnstile-pictures-'))
const gateway = await Gateway.start('gateway-rmcp0')
const turnstile = await Turnstile.start(gateway.url, directory)
const clients: { client: Client; leave: () => Promise<void> }[] = []

async function comeIn(): Promise<void> {
  const endpointId = random.pick(endpointIds)
  const client = new Client({ name: random.pick(clientNames), version: `1.${random.int(0, 9)}.0` })
  const streamable = new StreamableHTTPClientTransport(new URL(`/stream/${endpointId}`, turnstile.proxyUrl))
  const legacy = random.chance(0.2)
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- legacy clients still use it
  const sse = () => new SSEClientTransport(new URL(`/${endpointId}/sse`, turnstile.proxyUrl))
  await client.connect(legacy ? sse() : streamable)
  clients.push({
    client,
    async leave() {
      if (!legacy) await streamable.terminateSession()
      await client.close()
    }
  })
}

/** Two waves over the time of the run. */
const wanted = (share: number): number =>
  Math.round(mostOpen * (0.25 + 0.4 * share + 0.3 * Math.sin(share * 4 * Math.PI) * (1 - share / 2)))

const startedAt = Date.now()
for (;;) {
  const share = (Date.now() - startedAt) / (minutes * 60_000)
  if (share >= 1) break
  while (clients.length < wanted(share)) await comeIn()
  while (clients.length > wanted(share))
    await clients.splice(random.int(0, clients.length - 1), 1)[0]!.leave()
  if (random.chance(0.3)) {
    await clients.splice(random.int(0, clients.length - 1), 1)[0]!.leave()
    await comeIn()
  }
  for (let i = 0; i < 3; i++) {
    const { client } = random.pick(clients)
    await client.callTool({ name: 'echo', arguments: { text: 'hello' } })
  }
  await sleep(1_000)
}

const browser = await startChromium()
const page = await browser.newPage({ viewport: { width: 1360, height: 860 } })
await page.goto(turnstile.adminUrl)
await page.locator('#activity-empty').waitFor()
/** The run itself, up to the second, with something in the activity list. */
for (let i = 0; i < 5; i++) {
  await comeIn()
  await clients.splice(random.int(0, clients.length - 1), 1)[0]!.leave()
  await sleep(1_500)
}
await page.getByRole('button', { name: 'Custom…' }).click()
const local = (at: number) => {
  const shifted = at - new Date(at).getTimezoneOffset() * 60_000
  return new Date(shifted).toISOString().slice(0, 16)
}
await page.getByLabel('From', { exact: true }).fill(local(startedAt - 60_000))
await page.getByLabel('To', { exact: true }).fill(local(Date.now() + 60_000))
await page.getByRole('button', { name: 'Show', exact: true }).click()
await sleep(2_000)

async function picture(name: string): Promise<void> {
  const path = join(folder, `${name}.png`)
  await page.screenshot({ path })
  spawnSync('pngquant', ['--force', '--ext', '.png', '--speed', '1', '64', path])
  console.log(path)
}

await picture('light')
await page.emulateMedia({ colorScheme: 'dark' })
await page.locator('.row').nth(3).click()
await sleep(1_200)
await picture('dark')
await page.keyboard.press('Escape')
await page.setViewportSize({ width: 390, height: 844 })
await page.emulateMedia({ colorScheme: 'light' })
await sleep(1_200)
await picture('phone')

await browser.close()
await Promise.all(clients.map(({ client }) => client.close()))
await turnstile.stop()
await gateway.stop()
rmSync(directory, { recursive: true })
process.exit(0)
