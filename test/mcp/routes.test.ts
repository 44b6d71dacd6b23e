// Owns which requests are accounted, by the path patterns of several gateways.
import t from 'tap'
import { settings } from '../../src/config/settings.js'
import { findHidden, type Route, type RoutePatterns, Routes } from '../../src/mcp/routes.js'
import { patternFor } from '../../src/mcp/shown-path.js'

const rmcp: RoutePatterns = {
  stream: '/stream/{endpoint_id}',
  sse: '/{endpoint_id}/sse',
  message: '/message'
}
const single: RoutePatterns = { stream: '/mcp', sse: '/sse', message: '/messages' }
const named: RoutePatterns = { stream: '/{name}/mcp', sse: '/{name}/sse', message: '/message' }
const bare: RoutePatterns = { stream: '/{id}', sse: '/{id}/sse', message: '/message' }

const byDefault: RoutePatterns = {
  stream: settings.streamPath.default,
  sse: settings.ssePath.default,
  message: settings.messagePath.default
}

const layouts: RoutePatterns = {
  stream: '/mcp,/mcp/{server}, /v1/{path+}/mcp,/bot-{id}/mcp,/caf\u00e9/{id}',
  sse: '/mcp/sse,/servers/{name}/sse',
  message: '/messages/,/servers/{name}/messages/'
}

const streamable = (endpointId: string): Route => ({ kind: 'streamable', endpointId })
const legacy = (endpointId: string): Route => ({ kind: 'legacy-stream', endpointId })
const message = (endpointId: string | undefined, sessionId: string): Route => ({
  kind: 'message',
  endpointId,
  sessionId
})

const cases: [patterns: RoutePatterns, method: string, target: string, route: Route | undefined][] = [
  [rmcp, 'POST', '/stream/e1', streamable('e1')],
  [rmcp, 'GET', '/stream/e1?x=1', streamable('e1')],
  [rmcp, 'POST', '/stream/a%2Fb', streamable('a/b')],
  [rmcp, 'POST', '/stream/a/b', undefined],
  [rmcp, 'POST', '/stream/', undefined],
  [rmcp, 'POST', '/stream/100%', streamable('100%')],
  [rmcp, 'POST', '/stream/%zz', streamable('%zz')],
  [rmcp, 'POST', '/stream/a%4', streamable('a%4')],
  [rmcp, 'POST', '/stream/%41%zz%41', streamable('A%zzA')],
  [rmcp, 'POST', '/stream/%%41', streamable('%A')],
  [rmcp, 'POST', '/stream/%2541', streamable('%41')],
  [rmcp, 'POST', '/stream/%c3%A9%', streamable('é%')],
  [rmcp, 'POST', '/stream/%ff', undefined],
  [rmcp, 'POST', '/stream/%41%ff%zz', undefined],
  [rmcp, 'POST', '/stream/%c3%zz', undefined],
  [rmcp, 'POST', '/stream/%ed%a0%80', undefined],
  [rmcp, 'GET', '/e1/sse', legacy('e1')],
  [rmcp, 'GET', '/100%/sse', legacy('100%')],
  [rmcp, 'HEAD', '/e1/sse', undefined],
  [rmcp, 'GET', '/sse', undefined],
  [rmcp, 'GET', '//sse', undefined],
  [rmcp, 'POST', '/message?sessionId=s&endpointId=e', message('e', 's')],
  [rmcp, 'POST', '/message?endpoint_id=e&session_id=s', message('e', 's')],
  [rmcp, 'POST', '/message?sessionId=s', message(undefined, 's')],
  [rmcp, 'POST', '/message?sessionId=s&endpointId=100%', message('100%', 's')],
  [rmcp, 'POST', '/message', undefined],
  [rmcp, 'GET', '/message?sessionId=s', undefined],
  [rmcp, 'POST', '/mcp', undefined],
  [single, 'POST', '/mcp', streamable('default')],
  [single, 'POST', '/mcp/', streamable('default')],
  [single, 'POST', '//mcp//', streamable('default')],
  [single, 'POST', '/%6Dc%70', streamable('default')],
  [single, 'POST', '/mcp%2F', streamable('default')],
  [single, 'POST', '/MCP', streamable('default')],
  [single, 'POST', '/mcp/x', undefined],
  [single, 'POST', '/messages/?sessionId=s', message('default', 's')],
  [rmcp, 'POST', '/stream/e1/', streamable('e1')],
  [rmcp, 'POST', '//stream//e1//', streamable('e1')],
  [rmcp, 'POST', '/%73tream/%651', streamable('e1')],
  [rmcp, 'POST', '/Stream/E1', streamable('E1')],
  [rmcp, 'POST', '/stream%2Fe1', streamable('e1')],
  [rmcp, 'POST', '/stream/a%2F', streamable('a')],
  [rmcp, 'POST', '/stream/a%2F%2fb', streamable('a/b')],
  [rmcp, 'POST', '/stream/%2F', undefined],
  [rmcp, 'POST', '/stream/%00', undefined],
  [rmcp, 'POST', '/stream/%E7%9F%A5%E8%AF%86%E5%BA%93', streamable('\u77e5\u8bc6\u5e93')],
  [rmcp, 'POST', '/stream/\u00e7\u009f\u00a5', streamable('\u77e5')],
  [rmcp, 'POST', '/stream/my%20server', streamable('my server')],
  [rmcp, 'POST', '/stream/a+b', streamable('a+b')],
  [rmcp, 'POST', '/stream/..', streamable('..')],
  [layouts, 'POST', '/mcp', streamable('default')],
  [layouts, 'POST', '/mcp/', streamable('default')],
  [layouts, 'POST', '/mcp/git', streamable('git')],
  [layouts, 'POST', '/mcp/sse', streamable('sse')],
  [layouts, 'GET', '/mcp/sse', legacy('default')],
  [layouts, 'POST', '/mcp/a/b', undefined],
  [layouts, 'POST', '/v1/a/mcp', streamable('a')],
  [layouts, 'POST', '/v1/a/b%20c/d/mcp/', streamable('a/b c/d')],
  [layouts, 'POST', '/v1//a//b/mcp', streamable('a/b')],
  [layouts, 'POST', '/v1/a%2Fb/mcp', streamable('a/b')],
  [layouts, 'POST', '/v1/mcp', undefined],
  [layouts, 'POST', '/bot-7/mcp', streamable('7')],
  [layouts, 'POST', '/bot-/mcp', undefined],
  [layouts, 'POST', '/caf%c3%a9/x', streamable('x')],
  [layouts, 'GET', '/servers/git/sse', legacy('git')],
  [layouts, 'POST', '/servers/git/messages/?session_id=s', message('git', 's')],
  [layouts, 'POST', '/servers/git/messages?session_id=s&endpointId=other', message('git', 's')],
  [layouts, 'POST', '/messages/?session_id=s', message(undefined, 's')],
  [layouts, 'POST', '/mcp/sse?sessionid=s', message('default', 's')],
  [byDefault, 'POST', '/stream/e1', streamable('e1')],
  [byDefault, 'GET', '/e1/sse', legacy('e1')],
  [byDefault, 'POST', '/message?sessionId=s&endpointId=e', message('e', 's')],
  [byDefault, 'POST', '/mcp', streamable('default')],
  [byDefault, 'DELETE', '/mcp/', streamable('default')],
  [byDefault, 'POST', '/mcp/git', streamable('git')],
  [byDefault, 'POST', '/git/mcp', streamable('git')],
  [byDefault, 'POST', '/stream/mcp', streamable('mcp')],
  [byDefault, 'GET', '/mcp/sse', legacy('mcp')],
  [byDefault, 'POST', '/mcp/sse?sessionid=s', message('mcp', 's')],
  [byDefault, 'POST', '/mcp/sse', streamable('sse')],
  [byDefault, 'GET', '/sse', legacy('default')],
  [byDefault, 'POST', '/sse', undefined],
  [byDefault, 'POST', '/messages/?session_id=s', message(undefined, 's')],
  [byDefault, 'POST', '/mcp/messages/?session_id=s', message(undefined, 's')],
  [byDefault, 'POST', '/v1/messages', undefined],
  [byDefault, 'GET', '/.well-known/mcp', undefined],
  [byDefault, 'POST', '/%2ewell-known/mcp', undefined],
  [byDefault, 'GET', '/.well-known/oauth-protected-resource/mcp', undefined],
  [byDefault, 'POST', '/token', undefined],
  [single, 'GET', '/sse', legacy('default')],
  [single, 'POST', '/messages?sessionId=s', message('default', 's')],
  [named, 'POST', '/github/mcp', streamable('github')],
  [named, 'POST', '/mcp', undefined],
  [named, 'GET', '/github/sse', legacy('github')],
  [bare, 'POST', '/message?sessionId=s&endpointId=e', message('e', 's')],
  [bare, 'POST', '/message?x=1', streamable('message')],
  [bare, 'GET', '/message?sessionId=s', streamable('message')],
  [bare, 'POST', '/e?sessionId=s', streamable('e')]
]

for (const [patterns, method, target, route] of cases) {
  void t.test(`${patterns.stream}: ${method} ${target}`, t => {
    t.strictSame(new Routes(patterns).match(method, target), route)
    t.end()
  })
}

void t.test('the path of an endpoint leads there, by the first pattern that does', t => {
  const routes = new Routes(layouts)
  for (const [endpointId, path] of [
    ['default', '/mcp'],
    ['git', '/mcp/git'],
    ['my server', '/mcp/my%20server'],
    ['a/b', '/mcp/a%2Fb'],
    ['\u77e5', '/mcp/%E7%9F%A5'],
    ['..', '/bot-../mcp']
  ] as const)
    t.equal(routes.streamPaths(endpointId)[0], path, endpointId)
  t.strictSame(routes.ssePaths('default'), ['/mcp/sse', '/servers/default/sse'])
  t.strictSame(routes.ssePaths('git'), ['/servers/git/sse'])
  const several = new Routes({ ...single, stream: '/caf\u00e9/{path+}/' })
  t.strictSame(several.streamPaths('a b/c'), ['/caf%C3%A9/a%20b/c/'])
  t.strictSame(new Routes(single).streamPaths('git'), [])
  t.strictSame(new Routes(byDefault).streamPaths('git'), ['/stream/git', '/mcp/git', '/git/mcp'])
  t.strictSame(new Routes(byDefault).streamPaths('default')[0], '/mcp')
  t.end()
})

void t.test('a pattern that another one hides is found', t => {
  const hiddenIn = (patterns: Partial<RoutePatterns>) => {
    const found = findHidden({ ...rmcp, ...patterns })
    return found && [found.hidden.setting, found.hidden.pattern.text, found.by.setting, found.by.pattern.text]
  }
  t.equal(hiddenIn({}), undefined)
  t.equal(hiddenIn(layouts), undefined)
  t.equal(hiddenIn(byDefault), undefined)
  const shown = { ...byDefault, sse: '/mcp,/mcp/{id}' }
  t.match(findHidden(shown), { hidden: { setting: 'stream' } })
  t.equal(findHidden(shown, new Set(['stream'])), undefined, 'what nobody asked for may be hidden')
  t.equal(hiddenIn({ stream: '/mcp,/mcp/{server}', sse: '/mcp/sse' }), undefined)
  t.equal(hiddenIn({ stream: '/a/{x}/mcp,/{x}/b/mcp' }), undefined, 'a part of the paths is left')
  t.equal(hiddenIn({ stream: '/mcp,/{a}/mcp', sse: '/{a}/sse', message: '/{a}/sse,/mcp' }), undefined)
  for (const [stream, hidden, by] of [
    ['/mcp,/mcp', '/mcp', '/mcp'],
    ['/mcp,/mcp/', '/mcp/', '/mcp'],
    ['/%6dcp,/mcp', '/mcp', '/%6dcp'],
    ['/{id},/x-{id}', '/x-{id}', '/{id}'],
    ['/{p+},/{id}', '/{id}', '/{p+}'],
    ['/a/{p+},/a/b/{p+}/c', '/a/b/{p+}/c', '/a/{p+}']
  ] as const)
    t.strictSame(hiddenIn({ stream }), ['stream', hidden, 'stream', by])
  // A path without an id is tried first, wherever it stands.
  t.strictSame(hiddenIn({ stream: '/mcp', sse: '/mcp' }), ['sse', '/mcp', 'stream', '/mcp'])
  t.strictSame(hiddenIn({ stream: '/x/{p+}', sse: '/x/{id}/sse' }), [
    'sse',
    '/x/{id}/sse',
    'stream',
    '/x/{p+}'
  ])
  t.strictSame(hiddenIn({ message: '/{a}/m,/b/m' }), ['message', '/b/m', 'message', '/{a}/m'])
  t.end()
})

void t.test('a path as logs show it holds no session id', t => {
  const shown = (target: string, patterns = rmcp, method = 'POST') => {
    const routes = new Routes(patterns)
    return routes.shownPath(target, routes.match(method, target))
  }
  t.equal(shown('/stream/e1?x=SECRET'), '/stream/e1')
  t.equal(shown('/e1/sse', rmcp, 'GET'), '/e1/sse')
  t.equal(shown('/message?sessionId=SECRET'), '/message')
  t.equal(shown('/mcp/messages/SECRET'), '/mcp/messages/{\u2026}')
  t.equal(shown('/messages/SECRET/'), '/messages/{\u2026}/')
  t.equal(shown('/sessions/S/messages'), '/sessions/{\u2026}/messages')
  t.equal(shown('/SECRET'), '/{\u2026}')
  t.equal(shown('/mcp;jsessionid=SECRET'), '/{\u2026}')
  t.equal(shown('/kites/x/mcp', { ...rmcp, stream: '/kites/{id}/go' }), '/kites/{\u2026}/mcp')
  t.equal(shown('/mcp/m\u001b[31m'), '/mcp/{\u2026}')
  t.ok(shown(`/${'mcp/'.repeat(1_000)}`).length <= 200)
  t.ok(shown(`/stream/${'e'.repeat(4_000)}`).length <= 200)
  t.end()
})

void t.test('the pattern that would count a path has a place for what may be an id or a secret', t => {
  for (const [path, pattern] of [
    ['/mcp', '/mcp'],
    ['/', '/'],
    ['//api//mcp/', '/api/mcp'],
    ['/kites/go', '/kites/go'],
    ['/S3cret', '/{endpoint_id}'],
    ['/S3cret/T0ken', undefined],
    ['/api/S3cret/mcp', '/api/{endpoint_id}/mcp'],
    ['/api/S3cret/v1/T0ken/mcp', '/api/{path+}/mcp'],
    ['/%ff/mcp', undefined],
    [`/mcp${'/mcp'.repeat(1_000)}`, undefined]
  ] as [string, string | undefined][]) {
    t.equal(patternFor(path, false), pattern, path)
    if (pattern === undefined) continue
    const routes = new Routes({ ...rmcp, stream: `${rmcp.stream},${pattern}` })
    t.match(routes.match('POST', path), { kind: 'streamable' }, `${pattern} counts it`)
  }
  t.equal(patternFor('/kites/mcp', true), '/{endpoint_id}/mcp', 'a word may be a session')
  t.equal(patternFor('/v2/kites/go-fast', true), '/v2/{path+}')
  t.end()
})
