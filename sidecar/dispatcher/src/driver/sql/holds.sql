-- holds.read: a page of the ordering keys that are held, behind the id $1.
SELECT h.id, h.space_name || '.' || h.service_name AS lane, h.ordering_key
FROM {schema}.mq_hold h WHERE h.id > $1::bigint ORDER BY h.id LIMIT $2::bigint
