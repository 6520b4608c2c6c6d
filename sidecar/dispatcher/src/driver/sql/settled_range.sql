-- outbox.settled_range: which of the rows from id $1 to id $2 have a reply, no matter who wrote it, where nearly all of them are
-- asked about. A new leader asks it of each page that waits, and finds nothing: that costs one look into an index instead of one
-- for each row.
SELECT r.mq_id::bigint FROM {schema}.mq_reply r WHERE r.mq_id BETWEEN $1::bigint AND $2::bigint ORDER BY r.mq_id
