// Owns the comparison of tables as a table of cases: what was found, and what the plan says. The rest is in old-tables.test.ts.
import t from 'tap'
import type { FoundColumn } from '../../src/ledger/mysql/mysql-column-plan.js'
import { type FoundShape, planTable, type TablePlan } from '../../src/ledger/mysql/mysql-table-plan.js'
import { readSchema } from '../../src/ledger/sql/schema/declared-schema.js'

const sessions = readSchema().find(({ name }) => name === 'endpoint_logs_v2')!

/** The table as MySQL 8 tells of it. */
const right: FoundShape = {
  kind: 'BASE TABLE',
  engine: 'InnoDB',
  rowFormat: 'Dynamic',
  onTidb: false,
  isPartitioned: false,
  columns: sessions.columns.map(({ name, type, nullable, collation, definition, default: byDefault }) => ({
    name,
    type: type.toLowerCase() + (definition.includes(' UNSIGNED') ? ' unsigned' : ''),
    charset: null,
    collation: collation ?? (type.startsWith('VARCHAR') ? 'utf8mb4_0900_ai_ci' : null),
    nullable,
    hasDefault: byDefault !== undefined,
    extra: name === 'id' ? 'auto_increment' : ''
  })),
  keys: [{ name: 'PRIMARY', unique: true, columns: ['id'] }, ...sessions.keys],
  constraints: [],
  isEmpty: false,
  hasUsableIds: false
}

const withColumn = (name: string, change: Partial<FoundColumn>): FoundShape => ({
  ...right,
  columns: right.columns.some(column => column.name === name)
    ? right.columns.map(column => (column.name === name ? { ...column, ...change } : column))
    : [
        ...right.columns,
        {
          name,
          type: 'int',
          charset: null,
          collation: null,
          nullable: true,
          hasDefault: false,
          extra: '',
          ...change
        }
      ]
})
const withType = (name: string, type: string): FoundShape => withColumn(name, { type })
const withKey = (...columns: string[]): FoundShape => ({
  ...right,
  keys: [...right.keys, { name: 'k`1', unique: true, columns }]
})

/** What differs from a plan that does nothing. */
const cases: [string, FoundShape, Partial<Record<keyof TablePlan, unknown>>][] = [
  ['nothing', right, {}],
  ['display widths of MariaDB', withType('id', 'bigint(20) unsigned'), {}],
  [
    'a key that lacks, in a format for short ones',
    { ...right, rowFormat: 'Compact', keys: right.keys.slice(0, 3) },
    { reshape: [/^ROW_FORMAT = DYNAMIC$/] }
  ],
  [
    'the format that TiDB tells',
    { ...right, onTidb: true, rowFormat: 'Compact', keys: right.keys.slice(0, 3) },
    {}
  ],
  [
    'ids that are no numbers, on TiDB',
    { ...withType('id', 'char(36)'), onTidb: true },
    {
      refusals: [
        /^column id of endpoint_logs_v2 does not number the rows, and TiDB cannot change that: rename the table$/
      ]
    }
  ],
  ['a column of their own', withColumn('note', {}), {}],
  ['a column of their own with a default', withColumn('note', { nullable: false, hasDefault: true }), {}],
  ['a generated column of their own', withColumn('note', { nullable: false, extra: 'STORED GENERATED' }), {}],
  ['a user agent that may be longer', withType('user_agent', 'text'), {}],
  [
    'a client name that must be shorter',
    withType('client_name', 'varchar(50)'),
    { reshape: [/^MODIFY COLUMN client_name VARCHAR\(255\)/] }
  ],
  [
    'a time without milliseconds',
    withType('closed_at', 'datetime'),
    { reshape: [/^MODIFY COLUMN closed_at DATETIME\(3\) NULL/] }
  ],
  [
    'a time that updates move',
    withColumn('last_seen_at', { extra: 'on update CURRENT_TIMESTAMP(3)' }),
    { reshape: [/^MODIFY COLUMN last_seen_at DATETIME\(3\) NOT NULL/] }
  ],
  [
    'an end that may be missing',
    withColumn('disconnect_at', { nullable: true }),
    { reshape: [/^MODIFY COLUMN disconnect_at DATETIME\(3\) NULL/], refill: true }
  ],
  [
    'another engine',
    { ...right, engine: 'Aria', rowFormat: 'Page' },
    { reshape: [/^ENGINE = InnoDB$/, /^ROW_FORMAT = DYNAMIC$/] }
  ],
  [
    'an engine that keeps its rows elsewhere',
    { ...right, engine: 'FEDERATED' },
    { refusals: [/engine FEDERATED: ALTER TABLE endpoint_logs_v2 ENGINE = InnoDB$/] }
  ],
  ['a key on sessions alone', withKey('session_id'), { reshape: [/^DROP KEY `k``1`$/] }],
  ['a key on a part of an id', withKey('session_id(10)', 'endpoint_id'), { reshape: [/^DROP KEY `k``1`$/] }],
  ['a key that says no more than ours', withKey('transport_type', 'endpoint_id', 'session_id'), {}],
  [
    'a generated column of ours',
    withColumn('reason', { extra: 'VIRTUAL GENERATED' }),
    { refusals: [/^column reason of endpoint_logs_v2 is generated: rename it$/] }
  ],
  [
    'a number of their own',
    withColumn('no', { nullable: false, extra: 'auto_increment' }),
    { refusals: [/^column no of endpoint_logs_v2 numbers the rows: /] }
  ],
  [
    'old ids, and a column in their way',
    {
      ...withColumn('old_id', {}),
      columns: withColumn('old_id', {}).columns.map(c =>
        c.name === 'id' ? { ...c, type: 'char(36)', extra: '' } : c
      )
    },
    { refusals: [/^column old_id of endpoint_logs_v2 is in the way/] }
  ]
]

void t.test('what is planned for what was found', t => {
  for (const [name, found, expected] of cases) {
    const { reshape, refill, refusals } = planTable(sessions, found)
    if (expected.refusals) t.match(refusals, expected.refusals, name)
    else
      t.match({ reshape, refill, refusals }, { reshape: [], refill: false, refusals: [], ...expected }, name)
    const count = (list: unknown): number => (Array.isArray(list) ? list.length : 0)
    t.equal(refusals.length, count(expected.refusals), `${name}: no other refusal`)
    if (!expected.refusals) t.equal(reshape.length, count(expected.reshape), `${name}: no other change`)
  }
  t.end()
})
