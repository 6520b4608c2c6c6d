-- outbox.fetch: the rows $1 as they were published, for lanes that have room again. What is gone is left out.
-- $2 and $3 are the least and the greatest of $1: partitions beyond them are left out when the statement begins; and each row is
-- looked for in its own partition only, which `= ANY` would do in all that are left.
SELECT NULL::pg_snapshot AS cur, p.tx, p.id, p.uid,
       p.space_name || '.' || p.service_name || '.' || p.entity || '.' || p.method_name AS subject,
       p.protocol, p.timeout, p.created_at,
       (extract(epoch FROM p.expires_at - statement_timestamp()) * 1000)::bigint AS expires_in_ms,
       p.traceparent, p.tracestate, p.headers::text AS headers, p.body::text AS body, p.reply_to, p.priority, p.ordering_key,
       p.on_reply
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT * FROM {schema}.mq_publish
                    WHERE mq_publish.id = k.id AND mq_publish.id BETWEEN $2::bigint AND $3::bigint AND NOT direct LIMIT 1) p
ORDER BY p.id
