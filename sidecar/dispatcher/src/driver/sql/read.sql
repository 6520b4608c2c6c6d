-- outbox.read: the rows that are visible now and were not in snapshot $1, a page at a time, in the order of (tx, id).
--
-- $1 read up to here; $2 NULL, or the window's end while paging; $3, $4 the last (tx, id) of the page before ('0', 0 at
-- first); $5 page size; $6 lanes and priorities ('space.service.priority') whose rows come without headers and body since
-- they have no room, NULL for all of them; $7, $8 the first and the last id that is asked for: by these the partitions are chosen, which are otherwise all looked into (600 of them: 3 ms an empty read, 0.3 ms
-- with 595 left out).
-- Rows with an ordering key come without headers and body, too: they are fetched when it is their turn.
--
-- Guards: it returns nothing at all, not even the row that carries the snapshot, when its transaction has an id of its own
-- (rows the same transaction inserts later would be lost); a row is returned by exactly one window. The range between the
-- snapshots is cut at the transactions still in progress, and those that have ended since are added, so that every piece
-- is an index scan with a LIMIT; do not simplify it, the simpler forms scan the table.
-- "After lo, and after the page before" is one comparison of rows: given `tx > lo AND (tx, id) > ($3, $4)`, PostgreSQL begins
-- the scan at the comparison of rows, which at ('0', 0) is the beginning of the index (12 ms for an empty poll of 300,000 rows).
-- The snapshot comes last, in a row of its own: it may list hundreds of transactions, and to number the rows so that one of
-- them carries it would copy every row once more.
WITH s AS MATERIALIZED (
  SELECT coalesce($2::pg_snapshot, pg_current_snapshot()) AS cur WHERE pg_current_xact_id_if_assigned() IS NULL
), edge AS (
  SELECT ((pg_snapshot_xmax($1::pg_snapshot)::text)::bigint - 1)::text::xid8 AS x
  UNION ALL SELECT x FROM s, pg_snapshot_xip(cur) AS x WHERE x >= pg_snapshot_xmax($1)
  UNION ALL SELECT pg_snapshot_xmax(cur) FROM s
), win AS (
  SELECT x AS lo, lead(x) OVER (ORDER BY x) AS hi FROM edge
  UNION ALL
  SELECT ((x::text)::bigint - 1)::text::xid8, ((x::text)::bigint + 1)::text::xid8
  FROM s, pg_snapshot_xip($1) AS x WHERE pg_visible_in_snapshot(x, cur)
)
SELECT NULL::pg_snapshot AS cur, m.* FROM s CROSS JOIN LATERAL (
  SELECT p.tx::xid8, p.id::bigint, p.uid::uuid,
         p.space_name || '.' || p.service_name || '.' || p.entity || '.' || p.method_name AS subject,
         p.protocol::text, p.timeout::integer, p.created_at::timestamptz,
         (extract(epoch FROM p.expires_at - statement_timestamp()) * 1000)::bigint AS expires_in_ms,
         p.traceparent::text, p.tracestate::text,
         CASE WHEN p.ordering_key IS NULL
               AND (cardinality($6::text[]) = 0 OR p.space_name || '.' || p.service_name || '.' || p.priority <> ALL ($6))
              THEN p.headers::text END AS headers,
         CASE WHEN p.ordering_key IS NULL
               AND (cardinality($6::text[]) = 0 OR p.space_name || '.' || p.service_name || '.' || p.priority <> ALL ($6))
              THEN p.body::text END AS body,
         p.reply_to::text, p.priority::integer, p.ordering_key::text, p.on_reply::text
  FROM (
    SELECT q.* FROM win CROSS JOIN LATERAL (
      SELECT tx, id, uid, space_name, service_name, entity, method_name, protocol, timeout, created_at, expires_at,
             traceparent, tracestate, headers, body, reply_to, priority, ordering_key, on_reply
      FROM {schema}.mq_publish
      WHERE tx < hi AND NOT direct AND id BETWEEN $7::bigint AND $8::bigint
        AND (tx, id) > (greatest(lo, $3::xid8), CASE WHEN lo >= $3::xid8 THEN 9223372036854775807 ELSE $4::bigint END)
      ORDER BY tx, id LIMIT $5::bigint
    ) q WHERE hi > $3 ORDER BY q.tx, q.id LIMIT $5
  ) p
  ORDER BY p.tx, p.id
) m
UNION ALL
SELECT cur, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM s
