-- reply.settle: writes final outcomes. Guard: the primary key. When one of the rows has a reply already, which takes a reply
-- handler of a leader before us or a commit whose end was not learned, all of it fails and reply.settle_unsettled follows.
-- It is a statement of its own since ON CONFLICT costs each row another look into the index and another record in the log:
-- 3.9 microseconds a row with it, 2.4 without (PostgreSQL 15, batches of 500).
-- A row whose reply is in the table and not committed is not waited for: everything else on this session would wait, too.
-- MATERIALIZED, or the setting is made for each row: 30.5 instead of 23.9 microseconds of CPU time a message, end to end (make bench).
-- $10: the number of the newest reply handler in SQL that the leader knows of. If there is a newer one, nothing is written: a reply
-- goes to its handler if its writing begins after tpro.on_reply has committed.
-- Each array is unnested in a list of columns: in FROM all of them together go through a store of tuples each, 2.8 instead of 2.4
-- microseconds a row.
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '20ms', true))
INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, headers, attempts, sent_at, responder)
SELECT r.mq_id, r.uid, r.status, r.result::jsonb, r.error::jsonb, r.headers::jsonb, r.attempts, r.sent_at, r.responder
FROM (SELECT unnest($1::bigint[]) AS mq_id, unnest($2::uuid[]) AS uid, unnest($3::text[]) AS status, unnest($4::text[]) AS result,
             unnest($5::text[]) AS error, unnest($6::text[]) AS headers, unnest($7::int[]) AS attempts,
             unnest($8::timestamptz[]) AS sent_at, unnest($9::text[]) AS responder) AS r
CROSS JOIN patience
WHERE (SELECT coalesce(max(c.number), 0) FROM {schema}.mq_callback c) = $10
