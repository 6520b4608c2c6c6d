-- outbox.look_back: the rows below the floor that became visible between two snapshots, their lanes ('space.service'),
-- priorities and ordering keys, which of them have a reply, and which name a label for it, a page at a time, in the order of (tx, id).
--
-- $1 looked back up to here; $2 the snapshot to look up to, an older one than now; $3 the last id below the floor; $4, $5 the
-- place after which the page begins, at first (xmin of $1 - 1, greatest id); $6 page size.
--
-- Guard: what is below the floor is looked for here and nowhere else, what is not is outbox.read's. Little is expected here: a
-- message that was sent at its time, a row with an id that was drawn long before its transaction began, what somebody has put
-- back. So the scan of each partition begins behind the transactions that were over in $1, and mostly finds nothing.
SELECT q.tx::xid8, q.id::bigint, q.lane,
       (SELECT true FROM {schema}.mq_reply r WHERE r.mq_id = q.id) AS settled, q.forwards, q.priority, q.ordering_key
FROM (
  SELECT p.tx, p.id, p.space_name || '.' || p.service_name AS lane, p.reply_to IS NOT NULL AS forwards, p.priority, p.ordering_key
  FROM {schema}.mq_publish p
  WHERE p.id <= $3::bigint AND (p.tx, p.id) > ($4::xid8, $5::bigint) AND p.tx < pg_snapshot_xmax($2::pg_snapshot)
    AND pg_visible_in_snapshot(p.tx, $2) AND NOT pg_visible_in_snapshot(p.tx, $1::pg_snapshot) AND NOT p.direct
  ORDER BY p.tx, p.id LIMIT $6::bigint
) q
ORDER BY q.tx, q.id
