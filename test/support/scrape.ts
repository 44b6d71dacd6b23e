// Owns reading a scrape of /metrics, as a stranger does: Prometheus' text format, strictly.

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

export interface Family {
  name: string
  help: string
  type: string
  samples: Sample[]
}

const SAMPLE = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/gy
const unescaped: Record<string, string> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' }

/** Throws on the first line that Prometheus would not take. */
export class Scrape {
  readonly families = new Map<string, Family>()

  constructor(text: string) {
    let family: Family | undefined
    const series = new Set<string>()
    for (const line of text.split('\n').filter(line => line !== '')) {
      const [, help, name = ''] = /^# (?:(HELP)|TYPE) (\S+) ./.exec(line) ?? []
      const rest = line.split(' ').slice(3).join(' ')
      if (help !== undefined) {
        if (this.families.has(name)) throw new Error(`twice: ${line}`)
        this.families.set(name, (family = { name, help: rest, type: '', samples: [] }))
      } else if (name !== '') {
        if (family?.name !== name || family.type !== '') throw new Error(`not behind its help: ${line}`)
        family.type = rest
      } else {
        const sample = readSample(line)
        const suffix = family?.type === 'histogram' ? /^_(bucket|sum|count)$/ : /^$/
        if (
          !family ||
          !sample.name.startsWith(family.name) ||
          !suffix.test(sample.name.slice(family.name.length))
        )
          throw new Error(`of no family: ${line}`)
        const key =
          sample.name +
          JSON.stringify(
            Object.entries(sample.labels)
              .filter(([, text]) => text !== '')
              .sort()
          )
        if (series.has(key)) throw new Error(`twice: ${line}`)
        series.add(key)
        family.samples.push(sample)
      }
    }
  }

  static async of(adminUrl: string, token?: string): Promise<Scrape> {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(new URL('/metrics', adminUrl), { headers })
    if (response.status !== 200) throw new Error(`/metrics: ${response.status} ${await response.text()}`)
    return new Scrape(await response.text())
  }

  /** Samples of this name with at least these labels. */
  samples(name: string, labels: Record<string, string> = {}): Sample[] {
    const family = this.families.get(name) ?? this.families.get(name.replace(/_(bucket|sum|count)$/, ''))
    return (family?.samples ?? []).filter(
      sample =>
        sample.name === name && Object.entries(labels).every(([label, text]) => sample.labels[label] === text)
    )
  }

  /** The sum of them; undefined where there is none. */
  value(name: string, labels: Record<string, string> = {}): number | undefined {
    const samples = this.samples(name, labels)
    return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0)
  }
}

function readSample(line: string): Sample {
  const [, name, text = '', number = ''] = SAMPLE.exec(line) ?? []
  const value = number === '+Inf' ? Infinity : Number(number)
  if (name === undefined || Number.isNaN(value)) throw new Error(`no sample: ${line}`)
  LABEL.lastIndex = 0
  const labels: Record<string, string> = {}
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    const [, label, escaped] = LABEL.exec(text) ?? []
    if (label === undefined || label in labels) throw new Error(`bad labels: ${line}`)
    labels[label] = escaped!.replace(/\\[\\"n]/g, code => unescaped[code]!)
  }
  return { name, labels, value }
}
