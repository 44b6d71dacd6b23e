// Owns that the commands in README and docs/ work: flags are settings, queries are answered, the session by hand is counted.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parseCheckConfig, parseConfig, parseCopyConfig } from '../../src/config/read-settings.js'
import { startEverything } from '../support/everything.js'
import { Turnstile } from '../support/turnstile.js'

const root = join(import.meta.dirname, '..', '..', '..')
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map(name => join('docs', name))].filter(path =>
  path.endsWith('.md')
)
/** The code of each page, fenced and inline; lines that end with a backslash are joined. */
const code = pages.flatMap(page => {
  const text = readFileSync(join(root, page), 'utf8')
  const fenced = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) =>
    block!.replaceAll('\\\n', ' ')
  )
  const inline = [...text.replace(/^```.*?^```$/gms, '').matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!)
  return [...fenced, ...inline].map(text => ({ page, text }))
})

/** The words of a simple command, without the quotes of a shell. */
const words = (command: string): string[] =>
  (command.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []).map(word => word.replace(/['"]/g, ''))

/** What follows `start` on its line, as words, wherever a page has it; not where something is left out (`…`). */
const after = (start: RegExp): { page: string; args: string[] }[] =>
  code.flatMap(({ page, text }) =>
    text
      .split('\n')
      .flatMap(line => line.match(start)?.[1] ?? [])
      .filter(rest => !rest.includes('…'))
      .map(rest => ({ page, args: words(rest) }))
  )

void t.test('commands that start the proxy have flags and values that it takes', t => {
  const started = [
    ...after(/npm start -- (.*)/),
    ...after(/ mcp-turnstile (--upstream .*)/).map(({ page, args }) => ({ page, args })),
    ...after(/^(--(?:stream|sse|message)-path .*)/).map(({ page, args }) => ({
      page,
      args: ['--upstream', 'http://127.0.0.1:3000', ...args]
    }))
  ]
  t.ok(started.length > 8)
  for (const { page, args } of started)
    t.doesNotThrow(() => parseConfig(args, {}), `${page}: ${args.join(' ')}`)
  t.end()
})

void t.test('the other commands of the program have flags that they take', t => {
  const copies = after(/main\.js copy (.*)/)
  const checks = after(/main\.js check (.*)/)
  t.ok(copies.length > 0 && checks.length > 0)
  for (const { page, args } of copies) t.doesNotThrow(() => parseCopyConfig(args, {}), page)
  for (const { page, args } of checks) t.doesNotThrow(() => parseCheckConfig(args, {}), page)
  t.end()
})

void t.test('JSON that a page shows is JSON', t => {
  let blocks = 0
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, block] of text.matchAll(/^```json\n(.*?)^```$/gms)) {
      blocks++
      t.doesNotThrow(() => JSON.parse(block!) as unknown, `${page}: ${block!.slice(0, 60)}`)
    }
  }
  t.ok(blocks > 5)
  t.end()
})

void t.test('queries are answered, and the session that is opened by hand is counted', async t => {
  const server = await startEverything('streamableHttp')
  const folder = t.testdir({ data: {}, work: {} })
  const turnstile = await Turnstile.start(server.url, join(folder, 'data'), ['--stream-path', '/mcp'])
  t.teardown(async () => {
    await turnstile.stop()
    await server.stop()
  })
  /** Runs it in a folder of its own, where the ports are the defaults. Rejects where a part of it fails. */
  const run = async (script: string): Promise<string> => {
    const local = script
      .replaceAll('curl ', 'curl --fail-with-body --silent ')
      .replaceAll('http://127.0.0.1:9090', turnstile.adminUrl)
      .replaceAll('http://127.0.0.1:8080', turnstile.proxyUrl)
    const args = ['-c', `set -euo pipefail\n${local}`]
    return (await promisify(execFile)('bash', args, { cwd: join(folder, 'work') })).stdout
  }
  // A request of each kind, so that each metric has a sample.
  await fetch(new URL('/elsewhere', turnstile.proxyUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: '{"jsonrpc":"2.0","id":1,"method":"initialize"}'
  })
  const byHand = code.find(({ text }) => text.includes('Mcp-Session-Id: $session'))!.text
  await run(byHand)
  await turnstile.shipped()
  t.match(await turnstile.connections(), [{ client_name: 'curl', reason: 'delete', request_count: 2 }])

  const needsMore = /docker|\$\{?\w|curl -N|session=/
  const queries = code.filter(({ text }) => /curl .*127\.0\.0\.1:9090/.test(text) && !needsMore.test(text))
  t.ok(queries.length >= 8)
  for (const { page, text } of queries) await t.resolves(run(text), `${page}: ${text}`)
})
