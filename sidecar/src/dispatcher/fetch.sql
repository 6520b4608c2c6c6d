-- outbox.fetch: the rows $1 as they were published, for lanes that have room again. What is gone is left out.
-- $2 and $3 are the least and the greatest of $1: by them the partitions are chosen, which an array does not do.
SELECT NULL::pg_snapshot AS cur, p.tx, p.id, p.uid,
       p.space_name || '.' || p.service_name || '.' || p.entity || '.' || p.method_name AS subject,
       p.protocol, p.timeout, p.created_at,
       (extract(epoch FROM p.expires_at - statement_timestamp()) * 1000)::bigint AS expires_in_ms,
       p.traceparent, p.tracestate, p.headers::text AS headers, p.body::text AS body
FROM {schema}.mq_publish p
WHERE p.id = ANY ($1::bigint[]) AND p.id BETWEEN $2::bigint AND $3::bigint AND NOT p.direct
ORDER BY p.id
