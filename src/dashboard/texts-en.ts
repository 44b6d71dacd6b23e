// Owns all texts of the dashboard in English. Names of strangers come in as arguments, numbers and times as they read.

/** Texts in one language. */
export type Texts = typeof english

export const english = {
  // Of parts that cannot be read, and of the line at the top
  noResponseInTime: 'it does not respond in time',
  adminPortAway: 'the admin port cannot be reached',
  answersStatus: (status: number) => `it answers ${status}`,
  storeIsAway: 'the store is away',
  noSubscription: 'the store is away, so that nothing is reported',
  notReadSince: (since: string, reason: string) => `Not updated since ${since}: ${reason}.`,
  figuresOf: (at: string) => `as of ${at}`,
  disconnectedSince: (since: string) =>
    `Disconnected from mcp-turnstile. What you see is from ${since}. Trying again…`,
  storeAway: (since: string) =>
    `The store has been away since ${since}. Figures and lists are from before; sessions are still observed, and appear once it is back.`,
  storeNotRead: (since: string) =>
    `The store cannot be read since ${since}. Figures and lists are from before.`,
  storeNotWritten: (since: string) =>
    `The store cannot be written since ${since}. What happens since then is missing here, and appears once it can.`,
  tokenNotAccepted: 'This token is not accepted.',

  // Health
  checks: { gateway: 'Gateway', store: 'Store', outbox: 'Outbox', proxies: 'Proxies', live: 'Live' },
  unknown: 'unknown',
  since: (at: string) => `since ${at}`,
  ok: 'ok',
  unreachable: 'unreachable',
  notReadable: 'cannot be read',
  notWritable: 'cannot be written',
  empty: 'empty',
  eventsWaiting: (count: string) => `${count} waiting`,
  cannotWrite: 'cannot write',
  eventsLost: (count: string) => `${count} events lost`,
  proxiesUp: (count: string) => `${count} up`,
  proxiesGone: (count: string) => `${count} gone`,
  lastHeardOf: (id: string, at: string) => `${id}, last heard of ${at}`,
  shuttingDown: 'shutting down',
  gatewayAnswers: 'answers',
  gatewaySilent: 'does not answer',
  connected: 'connected',
  waiting: 'waits for the store',
  disconnected: 'disconnected',

  // Figures and chart
  title: (open: string) => `${open} open · mcp-turnstile`,
  allEndpoints: 'all endpoints',
  peak: 'Peak',
  peakByMinute: 'Peak by minute',
  pointAtChart: 'Point at the chart, or drag to zoom in.',
  nothingChosen: 'nothing chosen',
  now: 'now',
  chart: { open: 'open', opened: 'opened', closed: 'closed', peak: 'peak' },
  endBeforeStart: 'The end is after the start.',
  colours: { auto: 'Colours: as the system', light: 'Colours: light', dark: 'Colours: dark' },
  units: { second: 's', minute: 'm', hour: 'h', day: 'd' },

  // Endpoints, gateways, activity
  draining: 'draining',
  andMore: (count: string) => `and ${count} more`,
  noEndpoints: 'No endpoint had a session yet.',
  joined: (endpoint: string) => `joined ${endpoint}`,
  left: (endpoint: string, after: string) => `left ${endpoint} after ${after}`,
  aSession: 'A session',
  openedAndClosed: (opened: string, closed: string) => `${opened} opened, ${closed} closed`,
  gatewayStates: { up: 'up', down: 'down', removed: 'removed', draining: 'draining' },
  safeToStop: 'safe to stop',
  noConnectionsSince: (at: string) => `takes no connections since ${at}`,
  underWay: (requests: string, streams: string) => `${requests} requests, ${streams} streams`,
  drain: 'Drain',
  takeBack: 'Take back',
  drainNamed: (name: string) => `Drain ${name}`,
  takeBackNamed: (name: string) => `Give ${name} new sessions again`,
  gatewayDrained: (name: string) => `${name} gets no new sessions.`,
  gatewayTakenBack: (name: string) => `${name} gets new sessions again.`,
  gatewayNotChanged: (name: string, reason: string) => `${name} was not changed: ${reason}.`,

  // The list of sessions
  shown: {
    open: (count: string, of: string | undefined, isCut: boolean) => `${ofAll(count, of)} open${cut(isCut)}`,
    ended: (count: string, of: string | undefined, isCut: boolean) => `${ofAll(count, of)} ended${cut(isCut)}`,
    all: (count: string, of: string | undefined, isCut: boolean) => `${ofAll(count, of)} sessions${cut(isCut)}`
  },
  noMatch: 'No session matches. Change the filters above.',
  reading: 'Reading…',
  listNotRead: 'These sessions cannot be read now.',
  noneInRange: 'No session in this time range.',
  nobodyConnected: (url: string | undefined) =>
    url === undefined ? 'Nobody is connected.' : `Nobody is connected. Point an MCP client at ${url}`,
  unknownClient: 'unknown client',
  active: 'active',
  quiet: (duration: string) => `quiet ${duration}`,
  hasEnded: 'This session has ended. Look for it among the ended ones.',
  transports: { sse: 'SSE', streamable: 'Streamable', sessionless: 'Session-less' },
  reasons: {
    delete: 'the client said goodbye (DELETE)',
    stream_end: 'its stream ended',
    gone: 'the gateway does not know it any more',
    idle: 'nobody used it for the idle timeout',
    lost: 'the proxy that held its stream died',
    killed: 'an operator ended it'
  },

  // One session
  facts: {
    endpoint: 'Endpoint',
    transport: 'Transport',
    client: 'Client',
    userAgent: 'User agent',
    address: 'Address',
    protocol: 'Protocol',
    requests: 'Requests',
    gateway: 'Gateway',
    sessionId: 'Session id'
  },
  notTold: 'not told',
  mayOnlyRead: 'Your token may only read.',
  cannotEndSessionless: 'A session-less client has no session that could be ended.',
  losesSession: (client: string, endpoint: string) =>
    `${client} loses its session on ${endpoint}. Most clients notice with their next request, and connect again.`,
  sessionEnded: (client: string, endpoint: string) => `The session of ${client} on ${endpoint} was ended.`,
  notEnded: (reason: string) => `Not ended: ${reason}.`,
  requests: (number: number, count: string) => (number === 1 ? '1 request' : `${count} requests`),
  quietFor: (requests: string, duration: string) => `${requests}, quiet for ${duration}`,
  opened: 'Opened',
  fromAddress: (address: string) => `from ${address}`,
  lastUsed: 'Last used',
  endedAfter: (duration: string) => `Ended after ${duration}`,
  openFor: (duration: string) => `Open for ${duration}`
}

const ofAll = (count: string, of: string | undefined): string =>
  of === undefined ? count : `${count} of ${of}`
const cut = (isCut: boolean): string => (isCut ? ', the newest only' : '')
