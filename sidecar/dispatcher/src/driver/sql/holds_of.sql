-- holds.of: which of the messages $1 hold their ordering keys.
SELECT h.id, h.space_name || '.' || h.service_name AS lane, h.ordering_key
FROM {schema}.mq_hold h WHERE h.id = ANY ($1::bigint[]) ORDER BY h.id
