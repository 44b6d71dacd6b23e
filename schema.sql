-- The schema of mcp-turnstile: the SQL of MySQL 8.0+ and MariaDB 10.6+. At every start what is missing in the database,
-- tables, columns and keys, is added (src/ledger/sql/schema/schema-upgrade.ts); the embedded SQLite has the same tables, read from here.
-- Times are UTC with milliseconds. Endpoint ids are Unicode, session ids visible ASCII (longer ones stored as sha256-...).

-- One row a session. disconnect_at = connect_at while it is open, later than connect_at once it is closed.
CREATE TABLE IF NOT EXISTS endpoint_logs_v2 (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  session_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  transport_type TINYINT NOT NULL COMMENT '1 = sse, 2 = streamable, 3 = session-less client',
  connect_at DATETIME(3) NOT NULL,
  disconnect_at DATETIME(3) NOT NULL,
  reason VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'NULL while open',
  duration_class TINYINT NOT NULL COMMENT '-1 while open, else floor(log4(duration in ms)): makes range queries independent of the history',
  last_seen_at DATETIME(3) NOT NULL,
  request_count BIGINT UNSIGNED NOT NULL,
  bytes_in BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'that the client sent, heads and framing included',
  bytes_out BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'that were sent to the client',
  call_count BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'calls of tools',
  error_count BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'JSON-RPC errors, results with isError, HTTP errors',
  unread_count BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'responses that could not be read: errors or not',
  seen_by VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'the proxy that saw it last',
  upstream VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'the gateway that opened it; NULL: not known',
  client_address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_agent VARCHAR(255) CHARACTER SET utf8mb4 NULL,
  client_name VARCHAR(255) CHARACTER SET utf8mb4 NULL,
  client_version VARCHAR(255) CHARACTER SET utf8mb4 NULL,
  protocol_version VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  closed_at DATETIME(3) NULL COMMENT 'the first final end seen on the wire or ordered; another one (idle, lost, gone) may come before it',
  closed_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  proved_at DATETIME(3) NULL COMMENT 'the last proof that the gateway knew it; NULL: last_seen_at',
  gone_times VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'when it was found gone after that proof, in ms since 1970; a later proof takes that back',
  holder VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'the proxy that held its legacy stream',
  holder_boot INT UNSIGNED NULL,
  principal VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'on whose behalf it was first used; NULL: not known',
  principal_kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'header, oauth or key',
  oauth_client VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  principal_at DATETIME(3) NULL,
  is_shared TINYINT NOT NULL DEFAULT 0 COMMENT '1: used on behalf of another principal too',
  conversation VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'what its client says that it belongs to',
  conversation_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY session_of_endpoint (session_id, endpoint_id),
  KEY endpoint_time (endpoint_id, duration_class, connect_at, id, disconnect_at, transport_type),
  KEY all_time (duration_class, connect_at, id, disconnect_at, transport_type, endpoint_id),
  KEY idle_time (duration_class, last_seen_at),
  KEY upstream_time (duration_class, upstream, endpoint_id, transport_type, principal, conversation),
  KEY principal_time (principal, duration_class, connect_at, id, disconnect_at, endpoint_id, transport_type),
  KEY conversation_time (conversation, duration_class, connect_at, id, disconnect_at, endpoint_id, transport_type)
) ENGINE = InnoDB;

-- How many sessions each endpoint has open, always equal to its open rows in endpoint_logs_v2, and how many it ever had.
CREATE TABLE IF NOT EXISTS endpoint_connections_v2 (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  connect_num BIGINT NOT NULL DEFAULT 0,
  opened_num BIGINT NOT NULL DEFAULT 0,
  grouped_num BIGINT NOT NULL DEFAULT 0 COMMENT 'open sessions of which a conversation is known',
  conversation_num BIGINT NOT NULL DEFAULT 0 COMMENT 'the different conversations of those',
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY count_of_endpoint (endpoint_id)
) ENGINE = InnoDB;

-- What each principal has on an endpoint, and on all together (endpoint_id is empty), always equal to its rows in endpoint_logs_v2.
CREATE TABLE IF NOT EXISTS turnstile_principals (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  principal VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  principal_kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL,
  active_num BIGINT NOT NULL DEFAULT 0 COMMENT 'open sessions',
  session_num BIGINT NOT NULL DEFAULT 0 COMMENT 'sessions with rows',
  request_num BIGINT NOT NULL DEFAULT 0,
  last_seen_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY principal_of_endpoint (endpoint_id, principal),
  KEY busiest_principals (endpoint_id, active_num, session_num, id),
  KEY endpoints_of_principal (principal, endpoint_id)
) ENGINE = InnoDB;

-- Principals whose names were erased: a keyed hash of each, and what stands in its place. What is told of them later still has the name.
CREATE TABLE IF NOT EXISTS turnstile_erasures (
  name_hash VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  token VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  erased_at DATETIME(3) NOT NULL,
  PRIMARY KEY (name_hash)
) ENGINE = InnoDB;

-- Opens and closes by minute [start_at, start_at + 60 s). net_at_start: opens less closes at start_at itself.
CREATE TABLE IF NOT EXISTS endpoint_minutes_v2 (
  start_at DATETIME(3) NOT NULL,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  opened INT NOT NULL DEFAULT 0,
  closed INT NOT NULL DEFAULT 0,
  net_at_start INT NOT NULL DEFAULT 0,
  PRIMARY KEY (start_at, endpoint_id),
  KEY minutes_of_endpoint (endpoint_id, start_at, opened, closed, net_at_start)
) ENGINE = InnoDB;

-- The same by day (UTC).
CREATE TABLE IF NOT EXISTS endpoint_days_v2 (
  start_at DATETIME(3) NOT NULL,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  opened BIGINT NOT NULL DEFAULT 0,
  closed BIGINT NOT NULL DEFAULT 0,
  net_at_start INT NOT NULL DEFAULT 0,
  PRIMARY KEY (start_at, endpoint_id),
  KEY days_of_endpoint (endpoint_id, start_at)
) ENGINE = InnoDB;

-- Calls of tools by the hour (UTC) in which they ended: 200 tools an endpoint and hour, the others together as `other`.
CREATE TABLE IF NOT EXISTS endpoint_tools_v2 (
  start_at DATETIME(3) NOT NULL,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  tool VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  calls BIGINT UNSIGNED NOT NULL DEFAULT 0,
  errors BIGINT UNSIGNED NOT NULL DEFAULT 0,
  duration_sum_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
  duration_max_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (start_at, endpoint_id, tool),
  KEY tools_of_endpoint (endpoint_id, start_at)
) ENGINE = InnoDB;

-- Ends of sessions that no proxy has told to be open yet: another proxy's outbox may still hold the open.
CREATE TABLE IF NOT EXISTS turnstile_early_closes (
  session_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  closed_at DATETIME(3) NOT NULL,
  closed_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  transport_type TINYINT NULL COMMENT 'on which the end was seen; null: any',
  noted_at DATETIME(3) NOT NULL,
  PRIMARY KEY (session_id, endpoint_id, closed_at, closed_by),
  KEY early_closes_noted (noted_at)
) ENGINE = InnoDB;

-- Whose visit a session-less client's row in endpoint_logs_v2 is.
CREATE TABLE IF NOT EXISTS turnstile_visits (
  session_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  visitor VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'keyed hash of endpoint, address, user agent and Authorization',
  last_seen_at DATETIME(3) NOT NULL,
  PRIMARY KEY (session_id),
  KEY visitor_time (visitor, last_seen_at)
) ENGINE = InnoDB;

-- Secrets that the proxies of this store share: `visitor` is the key of the hash in turnstile_visits. `endpoints` holds none:
-- whoever adds an endpoint keeps its row locked.
CREATE TABLE IF NOT EXISTS turnstile_keys (
  name VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (name)
) ENGINE = InnoDB;

-- One row a proxy: how far its outbox is applied, and its last sign of life.
CREATE TABLE IF NOT EXISTS turnstile_instances (
  id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  boot INT UNSIGNED NOT NULL,
  applied_seq BIGINT UNSIGNED NOT NULL,
  heartbeat_at DATETIME(3) NOT NULL,
  lost_at DATETIME(3) NULL COMMENT 'the heartbeat after which it was taken for lost',
  PRIMARY KEY (id)
) ENGINE = InnoDB;

-- Sessions that opened or closed, in the order of the commits, as long as events are kept: what /api/events tells and live views follow.
CREATE TABLE IF NOT EXISTS turnstile_feed (
  seq BIGINT UNSIGNED NOT NULL,
  endpoint_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  session_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  transport_type TINYINT NULL,
  connect_at DATETIME(3) NOT NULL,
  disconnect_at DATETIME(3) NOT NULL,
  reason VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'NULL: it opened',
  is_again TINYINT NOT NULL DEFAULT 0 COMMENT '1: it was closed, and is open again',
  request_count BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'until then',
  noted_at DATETIME(3) NOT NULL,
  PRIMARY KEY (seq)
) ENGINE = InnoDB;

-- The last seq of the feed. Whoever takes the next one keeps this row locked until its change is committed.
CREATE TABLE IF NOT EXISTS turnstile_feed_head (
  id TINYINT NOT NULL,
  last_seq BIGINT UNSIGNED NOT NULL,
  tag VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'random: tells the ids of its events from those of other stores',
  PRIMARY KEY (id)
) ENGINE = InnoDB;

-- How far each webhook has got, and which proxy delivers to it now. A webhook is known by the SHA-256 of its URL.
CREATE TABLE IF NOT EXISTS turnstile_webhooks (
  webhook VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  position VARCHAR(4096) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'all events up to this place are delivered',
  holder VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  leased_until_at DATETIME(3) NOT NULL,
  PRIMARY KEY (webhook)
) ENGINE = InnoDB;

-- From which instant on all ended sessions (id 1) and all roll-ups (id 2) are still there: retention deletes older ones. No row: for ever.
CREATE TABLE IF NOT EXISTS turnstile_horizon (
  id TINYINT NOT NULL,
  rows_from_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE = InnoDB;

-- What each proxy has of each gateway, told once a second.
CREATE TABLE IF NOT EXISTS turnstile_upstreams (
  instance_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  url VARCHAR(2048) CHARACTER SET utf8mb4 NOT NULL,
  is_listed TINYINT NOT NULL COMMENT '0: it left the list, and keeps its sessions until they end',
  is_draining TINYINT NOT NULL COMMENT '1: the proxy knows that it is drained',
  session_num INT UNSIGNED NOT NULL,
  request_num INT UNSIGNED NOT NULL,
  stream_num INT UNSIGNED NOT NULL,
  failing_since DATETIME(3) NULL,
  reported_at DATETIME(3) NOT NULL,
  PRIMARY KEY (instance_id, name)
) ENGINE = InnoDB;

-- Gateways that get no new sessions, as an operator ordered.
CREATE TABLE IF NOT EXISTS turnstile_upstream_drains (
  name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  drained_at DATETIME(3) NOT NULL,
  PRIMARY KEY (name)
) ENGINE = InnoDB;
