// Owns which gateway gets new work: a table of cases, facts in, name out.
import t from 'tap'
import {
  chooseUpstream,
  type UpstreamFacts,
  type Work
} from '../../../src/proxy/balancing/choose-upstream.js'

const fresh = (name: string): UpstreamFacts => ({
  name,
  isListed: true,
  isUp: true,
  isDraining: false,
  openSessions: 0,
  opening: 0,
  underWay: 0,
  lastChoice: 0
})

interface Case {
  title: string
  a?: Partial<UpstreamFacts>
  b?: Partial<UpstreamFacts>
  refusedBy?: string[]
  session: string | undefined
  request: string | undefined
}

const cases: Case[] = [
  { title: 'equals: the first', session: 'a', request: 'a' },
  { title: 'equals take turns', a: { lastChoice: 2 }, b: { lastChoice: 1 }, session: 'b', request: 'b' },
  {
    title: 'a turn counts less than what is there',
    a: { lastChoice: 2 },
    b: { openSessions: 1, underWay: 1 },
    session: 'a',
    request: 'a'
  },
  { title: 'fewer sessions', a: { openSessions: 2 }, b: { openSessions: 1 }, session: 'b', request: 'a' },
  {
    title: 'sessions about to open count',
    a: { openSessions: 1, opening: 1 },
    b: { openSessions: 1 },
    session: 'b',
    request: 'a'
  },
  { title: 'fewer requests under way', a: { underWay: 3 }, b: { underWay: 2 }, session: 'b', request: 'b' },
  {
    title: 'sessions count before requests under way',
    a: { openSessions: 1 },
    b: { underWay: 9 },
    session: 'b',
    request: 'a'
  },
  {
    title: 'one is down',
    a: { isUp: false },
    b: { openSessions: 9, underWay: 9 },
    session: 'b',
    request: 'b'
  },
  {
    title: 'all are down: to try is the only way to know',
    a: { isUp: false, openSessions: 1, underWay: 1 },
    b: { isUp: false },
    session: 'b',
    request: 'b'
  },
  {
    title: 'one is drained',
    a: { isDraining: true },
    b: { openSessions: 9, underWay: 9 },
    session: 'b',
    request: 'b'
  },
  {
    title: 'one is drained, the other one down',
    a: { isDraining: true },
    b: { isUp: false },
    session: 'b',
    request: 'b'
  },
  {
    title: 'all are drained',
    a: { isDraining: true },
    b: { isDraining: true },
    session: undefined,
    request: undefined
  },
  { title: 'one left the list', a: { isListed: false }, session: 'b', request: 'b' },
  {
    title: 'one refused the request',
    refusedBy: ['a'],
    b: { openSessions: 9, underWay: 9 },
    session: 'b',
    request: 'b'
  },
  { title: 'all refused the request', refusedBy: ['a', 'b'], session: undefined, request: undefined }
]

for (const { title, a, b, refusedBy = [], ...expected } of cases) {
  void t.test(title, t => {
    const upstreams = [
      { ...fresh('a'), ...a },
      { ...fresh('b'), ...b }
    ]
    for (const work of ['session', 'request'] as Work[])
      t.equal(chooseUpstream(work, upstreams, new Set(refusedBy)), expected[work], work)
    t.end()
  })
}
