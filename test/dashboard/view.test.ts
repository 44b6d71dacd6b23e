// Owns the tests of the address of the page: it says all of what is looked at, and nothing that is written there breaks it.
import t from 'tap'
import { fromFragment, initialView, toFragment, type View } from '../../src/dashboard/view.js'

const at = Date.UTC(2026, 10, 28, 9, 30)

void t.test('the initial view is an empty address', t => {
  t.equal(toFragment(initialView), '')
  t.strictSame(fromFragment(''), initialView)
  t.strictSame(fromFragment('#'), initialView)
  t.end()
})

void t.test('every part of a view comes back from its address', t => {
  const hostile = 'a&b=c#d?e f/ü%00"<'
  const views: Partial<View>[] = [
    { endpointId: hostile },
    { range: { last: '15m' } },
    { range: { start: at, end: at + 60_001 } },
    { tab: 'people' },
    { sorting: { column: 'requests', isDescending: true } },
    { sorting: { column: 'opened', isDescending: false } },
    { tools: { ...initialView.tools, span: 'day' } },
    { tools: { ...initialView.tools, tool: { endpointId: hostile, tool: hostile } } },
    { tools: { ...initialView.tools, sorting: { column: 'max', isDescending: false } } },
    { session: { endpointId: hostile, sessionId: hostile, connectedAt: at + 5 } },
    {
      filters: {
        state: 'all',
        text: hostile,
        transport: 'sse',
        reason: 'idle',
        upstream: hostile,
        principal: hostile,
        conversation: hostile
      }
    }
  ]
  const whole = Object.assign({}, ...views) as View
  for (const view of [...views, whole].map(part => ({ ...initialView, ...part }))) {
    t.strictSame(fromFragment(`#${toFragment(view)}`), view, toFragment(view))
    t.not(toFragment(view), '')
  }
  t.end()
})

void t.test('what cannot be read is as in the initial view', t => {
  for (const fragment of [
    'sessions',
    'range=2h',
    'range=toString',
    'from=yesterday&to=today',
    'from=2026-11-28T10:00Z&to=2026-11-28T09:00Z',
    'tab=__proto__',
    'state=closed&transport=tcp',
    'sort=-nothing',
    'by=week&tool=read&toolSort=-nothing',
    'session=s-1',
    'session=s-1&of=files&since=then',
    '&&&=%'
  ])
    t.strictSame(fromFragment(fragment), initialView, fragment)
  t.end()
})
