-- outbox.owed: which of the rows $1, which have a reply, name a label for it in reply_to.
-- $2 and $3 are the least and the greatest of $1: partitions beyond them are left out when the statement begins; and each row is
-- looked for in its own partition only, which `= ANY` would do in all that are left.
SELECT p.id::bigint
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT id FROM {schema}.mq_publish
                    WHERE mq_publish.id = k.id AND mq_publish.id BETWEEN $2::bigint AND $3::bigint
                      AND reply_to IS NOT NULL AND NOT direct LIMIT 1) p
ORDER BY p.id
