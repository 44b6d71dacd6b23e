// Owns that what is published of the metrics is true: names that Prometheus advises, the table of docs/metrics.md, the alert rules and
// the dashboard, all against a scrape of the real process.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { startFakeGateway } from '../support/fake-gateway.js'
import { Scrape } from '../support/scrape.js'
import { Turnstile } from '../support/turnstile.js'
import { SECRET } from '../support/webhook-receiver.js'

const root = join(import.meta.dirname, '..', '..', '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const gateway = await startFakeGateway()
t.teardown(() => gateway.stop())
const directory = t.testdir({ 'webhook.secret': SECRET })
const webhook = [
  '--webhook',
  'http://127.0.0.1:9/',
  '--webhook-secret-file',
  join(directory, 'webhook.secret')
]
const turnstile = await Turnstile.start(gateway.url, directory, webhook)
t.teardown(() => turnstile.stop())
const scrape = await afterTraffic()

/** One session that opens, calls a tool and ends. */
async function afterTraffic(): Promise<Scrape> {
  const url = `${turnstile.proxyUrl}/stream/e`
  const post = async (method: string, headers: Record<string, string> = {}) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name: 'echo' } })
    const response = await fetch(url, { method: 'POST', body, headers })
    await response.arrayBuffer()
    return response
  }
  const session = { 'mcp-session-id': (await post('initialize')).headers.get('mcp-session-id')! }
  await post('tools/call', { ...session, 'mcp-protocol-version': '2025-11-25' })
  await post('tools/call', { 'mcp-session-id': 'unknown' })
  await (await fetch(url, { method: 'DELETE', headers: session })).arrayBuffer()
  await turnstile.shipped()
  for (;;) {
    const scrape = await Scrape.of(turnstile.adminUrl)
    // A store that is slow on a busy machine leaves its figures out.
    if (scrape.families.has('turnstile_sessions_active')) return scrape
  }
}

/** Names of the text format that Prometheus' own linter (promtool check metrics) takes amiss. */
void t.test('names, units and help as Prometheus advises', t => {
  t.ok(scrape.families.size > 40)
  for (const { name, help, type, samples } of scrape.families.values()) {
    t.match(help, /^[A-Z0-9]\S* .{5}/, `${name} has a help`)
    t.match(type, /^(counter|gauge|histogram)$/)
    t.match(name, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/)
    t.equal(name.endsWith('_total'), type === 'counter', `${name}: _total is for counters`)
    if (type !== 'histogram') t.notMatch(name, /_(bucket|sum|count)$/)
    t.notMatch(name, /_(counter|gauge|histogram|summary)(_|$)/, 'no type in the name')
    t.notMatch(
      name,
      /_(ms|milliseconds|millis|us|ns|s|minutes|hours|days|kb|mb|kilobytes|percent)(_|$)/,
      'base units'
    )
    for (const { labels } of samples) {
      for (const label of Object.keys(labels)) t.match(label, /^[a-z]+(_[a-z]+)*$/, `${name}: ${label}`)
    }
  }
  t.end()
})

void t.test('the table of docs/metrics.md has every metric with its type, and no other', t => {
  const rows = [...read('docs/metrics.md').matchAll(/^\| `([a-z_]+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name!} ${type!}`
  )
  const own = [...scrape.families.values()].filter(({ name }) => !/^(process|nodejs)_/.test(name))
  t.same(rows.sort(), own.map(({ name, type }) => `${name} ${type}`).sort())
  t.end()
})

/** What an expression selects: names, and labels that must be this. Throws where it is no PromQL. */
function selectionsOf(expression: string): { name: string; labels: string[] }[] {
  const selections: { name: string; labels: string[] }[] = []
  parser
    .configure({ strict: true })
    .parse(expression)
    .iterate({
      enter({ name, node }) {
        const text = expression.slice(node.from, node.to)
        if (name === 'VectorSelector') selections.push({ name: /^[\w:]+/.exec(text)![0], labels: [] })
        if (name === 'LabelName' || name === 'QuotedLabelName') {
          const last = selections.at(-1)
          if (last && node.parent?.name !== 'GroupingLabels') last.labels.push(text)
        }
      }
    })
  return selections
}

/** Given by Prometheus. */
const TARGET_LABELS = ['job', 'instance']

function checkExpression(t: Test, expression: string, where: string): void {
  const selections = selectionsOf(expression)
  t.ok(selections.length > 0, `${where} selects something`)
  for (const { name, labels } of selections.filter(({ name }) => name !== 'up')) {
    const samples = scrape.samples(name)
    t.ok(scrape.families.has(name) || samples.length > 0, `${where}: ${name} is scraped`)
    for (const label of labels.filter(label => !TARGET_LABELS.includes(label)))
      t.ok(
        samples.some(sample => label in sample.labels),
        `${where}: ${name} has the label ${label}`
      )
  }
}

interface Settings {
  scrape_configs: { job_name: string }[]
}

interface Rules {
  groups: {
    rules: {
      alert: string
      expr: string
      for?: string
      labels: object
      annotations: Record<string, string>
    }[]
  }[]
}

void t.test('alert rules speak of metrics that there are, and are in docs/metrics.md', t => {
  const { groups } = parse(read('docker/prometheus/alerts.yaml')) as Rules
  const rules = groups.flatMap(group => group.rules)
  t.ok(rules.length >= 10)
  const page = read('docs/metrics.md')
  const { scrape_configs } = parse(read('docker/prometheus/prometheus.yaml')) as Settings
  const jobs = new Set(rules.flatMap(({ expr }) => [...expr.matchAll(/job="(\w+)"/g)].map(([, job]) => job)))
  t.same([...jobs], [scrape_configs[0]!.job_name], 'they ask for the job that is scraped')
  for (const { alert, expr, labels, annotations, ...rest } of rules) {
    checkExpression(t, expr, alert)
    t.match(labels, { severity: /^(warning|critical)$/ })
    t.same(Object.keys(annotations).sort(), ['description', 'summary'])
    if (rest.for !== undefined) t.match(rest.for, /^\d+(s|m|h)$/)
    t.ok(page.includes(`\`${alert}\``), `${alert} is in docs/metrics.md`)
  }
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  t.end()
})

interface Dashboard {
  uid: string
  panels: {
    id: number
    type: string
    title: string
    gridPos: { x: number; y: number; w: number; h: number }
    datasource?: { uid: string }
    targets?: { expr: string; refId: string; datasource: { uid: string } }[]
  }[]
  templating: { list: { name: string }[] }
  annotations: { list: { expr: string }[] }
}

void t.test('the dashboard shows metrics that there are, in panels that do not overlap', t => {
  const { panels, templating, annotations } = JSON.parse(
    read('docker/grafana/dashboards/mcp-turnstile.json')
  ) as Dashboard
  const variables = templating.list.map(({ name }) => name)
  t.same(variables, ['datasource', 'instance'])
  const plain = (expression: string): string =>
    expression.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*')
  for (const { expr } of annotations.list) checkExpression(t, plain(expr), 'annotation')
  const cells = new Set<string>()
  for (const { type, title, gridPos, targets = [] } of panels) {
    t.ok(targets.length > 0 || type === 'row', title)
    for (const { expr, datasource } of targets) {
      checkExpression(t, plain(expr), title)
      t.equal(datasource.uid, '${datasource}', 'the one that is chosen')
    }
    t.ok(gridPos.x + gridPos.w <= 24)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        t.notOk(cells.has(`${x} ${y}`), `${title} has its place`)
        cells.add(`${x} ${y}`)
      }
    }
  }
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  t.end()
})

void t.test('a wrong expression would be seen', t => {
  t.throws(() => selectionsOf('sum(a'))
  t.same(selectionsOf('sum by (x) (rate(a_total{b="c", d!=""}[5m])) / on (job) e{of="f"} > 0.9 * g'), [
    { name: 'a_total', labels: ['b', 'd'] },
    { name: 'e', labels: ['of'] },
    { name: 'g', labels: [] }
  ])
  t.end()
})
