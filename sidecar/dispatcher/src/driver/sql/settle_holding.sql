-- reply.settle_holding: as reply.settle_unsettled, for outcomes some of which hold their ordering key when they are not ok ($13: the key
-- of those that ask for it, in the lane $11, $12). A message that stands in mq_hold and ends well lets its key go: it is a copy of the one
-- that failed. $14: the service. Guard: only who writes the reply writes the hold.
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '20ms', true)),
given AS MATERIALIZED (
    SELECT unnest($1::bigint[]) AS mq_id, unnest($2::uuid[]) AS uid, unnest($3::text[]) AS status, unnest($4::text[]) AS result,
           unnest($5::text[]) AS error, unnest($6::text[]) AS headers, unnest($7::int[]) AS attempts,
           unnest($8::timestamptz[]) AS sent_at, unnest($9::text[]) AS responder, unnest($11::text[]) AS space_name,
           unnest($12::text[]) AS service_name, unnest($13::text[]) AS ordering_key),
written AS (
    INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, headers, attempts, sent_at, responder)
    SELECT r.mq_id, r.uid, r.status, r.result::jsonb, r.error::jsonb, r.headers::jsonb, r.attempts, r.sent_at, r.responder
    FROM given r CROSS JOIN patience
    WHERE (SELECT coalesce(max(c.number), 0) FROM {schema}.mq_callback c) = $10
    ON CONFLICT DO NOTHING
    RETURNING mq_id, status),
held AS (
    INSERT INTO {schema}.mq_hold (id, space_name, service_name, ordering_key)
    SELECT g.mq_id, g.space_name, g.service_name, g.ordering_key
    FROM given g JOIN written w ON w.mq_id = g.mq_id
    WHERE g.ordering_key IS NOT NULL AND w.status <> 'ok'
    ON CONFLICT DO NOTHING)
SELECT (SELECT count(*) FROM written),
       (SELECT tpro.end_holds($14, array_agg(w.mq_id)) FROM written w
        WHERE w.status = 'ok' AND EXISTS (SELECT FROM {schema}.mq_hold h WHERE h.id = w.mq_id) HAVING count(*) > 0)
