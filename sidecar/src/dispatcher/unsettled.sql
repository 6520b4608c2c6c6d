-- outbox.unsettled: which of the rows $1 have no reply, and whose lane ('space.service') they are.
SELECT p.id, p.space_name || '.' || p.service_name AS lane
FROM {schema}.mq_publish p
WHERE p.id = ANY ($1::bigint[]) AND NOT p.direct
  AND NOT EXISTS (SELECT FROM {schema}.mq_reply r WHERE r.mq_id = p.id)
ORDER BY p.id
