// Owns the SQLite schema: the tables of schema.sql with times as epoch milliseconds.

export const schema = `
CREATE TABLE IF NOT EXISTS endpoint_logs_v2 (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  endpoint_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  transport_type INTEGER NOT NULL,
  connect_at INTEGER NOT NULL,
  disconnect_at INTEGER NOT NULL,
  reason TEXT,
  duration_class INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  request_count INTEGER NOT NULL,
  client_address TEXT NOT NULL,
  user_agent TEXT,
  client_name TEXT,
  client_version TEXT,
  protocol_version TEXT,
  closed_at INTEGER,
  closed_by TEXT,
  holder TEXT,
  holder_boot INTEGER,
  UNIQUE (session_id, endpoint_id)
);
CREATE INDEX IF NOT EXISTS endpoint_time ON endpoint_logs_v2 (endpoint_id, duration_class, connect_at, id, disconnect_at, transport_type);
CREATE INDEX IF NOT EXISTS all_time ON endpoint_logs_v2 (duration_class, connect_at, id, disconnect_at, transport_type, endpoint_id);
CREATE INDEX IF NOT EXISTS idle_time ON endpoint_logs_v2 (duration_class, last_seen_at);
CREATE TABLE IF NOT EXISTS endpoint_connections_v2 (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  endpoint_id TEXT NOT NULL UNIQUE,
  connect_num INTEGER NOT NULL DEFAULT 0,
  updated_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS endpoint_minutes_v2 (
  start_at INTEGER NOT NULL,
  endpoint_id TEXT NOT NULL,
  opened INTEGER NOT NULL,
  closed INTEGER NOT NULL,
  net_at_start INTEGER NOT NULL,
  PRIMARY KEY (start_at, endpoint_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS minutes_of_endpoint ON endpoint_minutes_v2 (endpoint_id, start_at, opened, closed, net_at_start);
CREATE TABLE IF NOT EXISTS endpoint_days_v2 (
  start_at INTEGER NOT NULL,
  endpoint_id TEXT NOT NULL,
  opened INTEGER NOT NULL,
  closed INTEGER NOT NULL,
  net_at_start INTEGER NOT NULL,
  PRIMARY KEY (start_at, endpoint_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS days_of_endpoint ON endpoint_days_v2 (endpoint_id, start_at);
CREATE TABLE IF NOT EXISTS turnstile_early_closes (
  session_id TEXT NOT NULL,
  endpoint_id TEXT NOT NULL,
  closed_at INTEGER NOT NULL,
  closed_by TEXT NOT NULL,
  noted_at INTEGER NOT NULL,
  PRIMARY KEY (session_id, endpoint_id, closed_at, closed_by)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS early_closes_noted ON turnstile_early_closes (noted_at);
CREATE TABLE IF NOT EXISTS turnstile_instances (
  id TEXT PRIMARY KEY,
  boot INTEGER NOT NULL,
  applied_seq INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL,
  lost_at INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turnstile_horizon (
  id INTEGER PRIMARY KEY,
  rows_from_at INTEGER NOT NULL
);
INSERT OR IGNORE INTO turnstile_horizon (id, rows_from_at) VALUES (1, 0);
`
