-- outbox.unsettled: which of the rows $1 have no reply, and whose lane ('space.service') they are.
-- $2 and $3 are the least and the greatest of $1: by them the partitions are chosen, which an array does not do.
-- A subquery for each row and not NOT EXISTS: that is planned as a join with all replies there are.
SELECT p.id, p.space_name || '.' || p.service_name AS lane
FROM {schema}.mq_publish p
WHERE p.id = ANY ($1::bigint[]) AND p.id BETWEEN $2::bigint AND $3::bigint AND NOT p.direct
  AND (SELECT true FROM {schema}.mq_reply r WHERE r.mq_id = p.id) IS NULL
ORDER BY p.id
