-- outbox.fetch_range: the rows from id $1 to id $2 as they were published, where all of them are asked for. Each row has a way
-- of its own in outbox.fetch, to its partition and through the index.
SELECT NULL::pg_snapshot AS cur, p.tx, p.id, p.uid,
       p.space_name || '.' || p.service_name || '.' || p.entity || '.' || p.method_name AS subject,
       p.protocol, p.timeout, p.created_at,
       (extract(epoch FROM p.expires_at - statement_timestamp()) * 1000)::bigint AS expires_in_ms,
       p.traceparent, p.tracestate, p.headers::text AS headers, p.body::text AS body, p.reply_to, p.priority, p.ordering_key,
       p.on_reply
FROM {schema}.mq_publish p
WHERE p.id BETWEEN $1::bigint AND $2::bigint AND NOT p.direct
ORDER BY p.id
