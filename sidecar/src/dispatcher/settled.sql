-- outbox.settled: which of the rows $1 have a reply, no matter who wrote it.
-- $2 and $3 are the least and the greatest of $1: by them the partitions are chosen, which an array does not do.
SELECT r.mq_id::bigint
FROM {schema}.mq_reply r
WHERE r.mq_id = ANY ($1::bigint[]) AND r.mq_id BETWEEN $2::bigint AND $3::bigint
ORDER BY r.mq_id
