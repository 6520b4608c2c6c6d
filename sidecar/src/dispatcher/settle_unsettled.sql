-- reply.settle_unsettled: as reply.settle, leaving out what has a reply. Guard: the first reply of a row wins, so the same batch
-- may be written again by whoever did not learn whether it was committed.
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '20ms', true))
INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, headers, attempts, sent_at, responder)
SELECT r.mq_id, r.uid, r.status, r.result::jsonb, r.error::jsonb, r.headers::jsonb, r.attempts, r.sent_at, r.responder
FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::timestamptz[],
            $9::text[])
  AS r (mq_id, uid, status, result, error, headers, attempts, sent_at, responder)
CROSS JOIN patience
ON CONFLICT DO NOTHING
