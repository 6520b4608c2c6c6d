-- reply.settle_unsettled: as reply.settle, leaving out what has a reply. Guard: the first reply of a row wins, so the same batch
-- may be written again by whoever did not learn whether it was committed.
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '20ms', true))
INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, headers, attempts, sent_at, responder)
SELECT r.mq_id, r.uid, r.status, r.result::jsonb, r.error::jsonb, r.headers::jsonb, r.attempts, r.sent_at, r.responder
FROM (SELECT unnest($1::bigint[]) AS mq_id, unnest($2::uuid[]) AS uid, unnest($3::text[]) AS status, unnest($4::text[]) AS result,
             unnest($5::text[]) AS error, unnest($6::text[]) AS headers, unnest($7::int[]) AS attempts,
             unnest($8::timestamptz[]) AS sent_at, unnest($9::text[]) AS responder) AS r
CROSS JOIN patience
WHERE (SELECT coalesce(max(c.number), 0) FROM {schema}.mq_callback c) = $10
ON CONFLICT DO NOTHING
