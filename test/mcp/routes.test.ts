// Owns which requests are accounted, by the path patterns of several gateways.
import t from 'tap'
import { type Route, type RoutePatterns, Routes } from '../../src/mcp/routes.js'

const rmcp: RoutePatterns = {
  stream: '/stream/{endpoint_id}',
  sse: '/{endpoint_id}/sse',
  message: '/message'
}
const single: RoutePatterns = { stream: '/mcp', sse: '/sse', message: '/messages' }
const named: RoutePatterns = { stream: '/{name}/mcp', sse: '/{name}/sse', message: '/message' }
const bare: RoutePatterns = { stream: '/{id}', sse: '/{id}/sse', message: '/message' }

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
  [single, 'POST', '/mcp/', undefined],
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
