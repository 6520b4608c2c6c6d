-- outbox.settled: which of the rows $1 have a reply, no matter who wrote it.
-- $2 and $3 are the least and the greatest of $1: partitions beyond them are left out when the statement begins; and each row is
-- looked for in its own partition only, which `= ANY` would do in all that are left.
SELECT r.mq_id
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT mq_id::bigint FROM {schema}.mq_reply
                    WHERE mq_reply.mq_id = k.id AND mq_reply.mq_id BETWEEN $2::bigint AND $3::bigint LIMIT 1) r
ORDER BY r.mq_id
