// Owns the direction of imports: which room of src/ may use which, that nothing goes in a circle, and that no file lies
// loose. Type imports count, and so do threads that are started by file name (`threadFile`).

/** What each room may import besides itself, from the bottom floor to the top. */
const ROOMS = {
  util: [],
  mcp: ['util'],
  config: ['mcp', 'util'],
  metrics: ['mcp', 'util'],
  sessions: ['mcp', 'util'],
  proxy: ['sessions', 'metrics', 'mcp', 'util'],
  ledger: ['sessions', 'metrics', 'mcp', 'util'],
  upkeep: ['proxy', 'ledger', 'sessions', 'metrics', 'mcp', 'util'],
  admin: ['ledger', 'metrics', 'config', 'mcp', 'util'],
  telemetry: ['proxy', 'metrics', 'config', 'mcp', 'util'],
  app: ['admin', 'telemetry', 'upkeep', 'ledger', 'proxy', 'sessions', 'metrics', 'mcp', 'config', 'util'],
  terminal: ['config', 'util'],
  dashboard: []
}

/** What else a room may import, but as types only. */
const TYPES_OF = { dashboard: ['^src/admin/schemas/'], terminal: ['^src/admin/schemas/'] }

/** The same for the rooms within a room. Files that lie in the outer room itself may be imported by all of its rooms. */
const INNER_ROOMS = {
  'proxy/http': [],
  'proxy/upstream': ['proxy/http'],
  'proxy/taps': ['proxy/http'],
  'proxy/admission': ['proxy/http'],
  'proxy/balancing': ['proxy/http', 'proxy/upstream'],
  'ledger/model': [],
  'ledger/sql/write': ['ledger/sql/[^/]+', 'ledger/model'],
  'ledger/sql/read': ['ledger/sql/[^/]+', 'ledger/sql/write', 'ledger/model'],
  'ledger/sql/schema': ['ledger/sql/[^/]+', 'ledger/sql/write', 'ledger/model'],
  'ledger/mysql': ['ledger/sql'],
  'ledger/sqlite': ['ledger/sql'],
  'ledger/pipeline': ['ledger/sqlite'],
  'admin/schemas': [],
  'admin/access': ['admin/schemas'],
  'admin/paging': ['admin/schemas'],
  'admin/events': ['admin/access', 'admin/schemas'],
  'admin/webhooks': ['admin/access', 'admin/schemas', 'admin/events'],
  'admin/gateway': ['admin/schemas'],
  'admin/live': ['admin/access', 'admin/schemas'],
  'admin/routes': ['admin/access', 'admin/schemas', 'admin/paging', 'admin/gateway', 'admin/events']
}

const within = room => `^src/${room}/`
const anyOf = rooms => (rooms.length === 0 ? '(?!)' : `^src/(?:${rooms.join('|')})(?:/|$)`)

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Move what both need to where both may import it from.',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'no-loose-files',
      comment: 'A file of src/ lies in a room; only main.ts does not.',
      severity: 'error',
      from: { path: '^src/[^/]+$', pathNot: '^src/main\\.ts$' },
      to: {}
    },
    {
      name: 'main-starts-the-app',
      comment: 'main.ts may import app, terminal, config and util.',
      severity: 'error',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^src/', pathNot: anyOf(['app', 'terminal', 'config', 'util']) }
    },
    ...Object.entries(ROOMS).map(([room, allowed]) => ({
      name: `imports-of-${room}`,
      comment: `src/${room} may import ${allowed.join(', ') || 'no other room'}.`,
      severity: 'error',
      from: { path: within(room) },
      to: { path: '^src/', pathNot: [within(room), anyOf(allowed), ...(TYPES_OF[room] ?? [])] }
    })),
    {
      name: 'one-door-to-opentelemetry',
      comment:
        'src/telemetry/opentelemetry.ts imports it, and the build puts it there: an installation has no such package.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/telemetry/opentelemetry\\.ts$' },
      to: { path: '@opentelemetry/' }
    },
    {
      name: 'telemetry-is-loaded-late',
      comment: 'Only where something is exported: import it with import(), or its types.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/telemetry/' },
      to: { path: '^src/telemetry/', dependencyTypesNot: ['dynamic-import', 'type-only'] }
    },
    ...Object.entries(TYPES_OF).map(([room, paths]) => ({
      name: `types-only-of-${room}`,
      comment: `src/${room} may import these files as types only: it runs elsewhere.`,
      severity: 'error',
      from: { path: within(room) },
      to: { path: paths, dependencyTypesNot: ['type-only'] }
    })),
    ...Object.entries(INNER_ROOMS).map(([room, allowed]) => {
      const outer = room.split('/')[0]
      return {
        name: `imports-of-${room.replaceAll('/', '-')}`,
        comment: `src/${room} may import ${allowed.join(', ') || 'no other room'} of src/${outer}.`,
        severity: 'error',
        from: { path: within(room) },
        to: { path: `^src/${outer}/.+/`, pathNot: [within(room), anyOf(allowed)] }
      }
    })
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exoticRequireStrings: ['threadFile'],
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts'] }
  }
}
