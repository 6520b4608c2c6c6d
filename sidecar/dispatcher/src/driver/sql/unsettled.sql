-- outbox.unsettled: which of the rows $1 have no reply, and whose lane ('space.service'), priority and ordering key
-- they have.
-- $2 and $3 are the least and the greatest of $1: partitions beyond them are left out when the statement begins; and each row is
-- looked for in its own partition only, which `= ANY` would do in all that are left.
SELECT p.id, p.space_name || '.' || p.service_name AS lane, p.priority, p.ordering_key
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT id, space_name, service_name, priority, ordering_key FROM {schema}.mq_publish
                    WHERE mq_publish.id = k.id AND mq_publish.id BETWEEN $2::bigint AND $3::bigint AND NOT direct LIMIT 1) p
LEFT JOIN LATERAL (SELECT true AS found FROM {schema}.mq_reply r
                   WHERE r.mq_id = k.id AND r.mq_id BETWEEN $2 AND $3 LIMIT 1) r ON true
WHERE r.found IS NULL
ORDER BY p.id
