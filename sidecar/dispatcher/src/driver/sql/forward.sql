-- outbox.forward: the replies of the rows $1, for the subscribers of the labels in reply_to. The table says them and not the
-- leader's memory, because the first reply of a row wins, whoever wrote it. A row without a label is left out.
-- $2 and $3 are the least and the greatest of $1: partitions beyond them are left out when the statement begins; and each row is
-- looked for in its own partition only, which `= ANY` would do in all that are left.
SELECT p.id::bigint, p.uid::uuid, p.reply_to::text, r.status::text,
       CASE r.status WHEN 'ok' THEN r.result ELSE r.error END::text AS payload
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT id, uid, reply_to FROM {schema}.mq_publish
                    WHERE mq_publish.id = k.id AND mq_publish.id BETWEEN $2::bigint AND $3::bigint
                      AND reply_to IS NOT NULL AND NOT direct LIMIT 1) p
CROSS JOIN LATERAL (SELECT status, result, error FROM {schema}.mq_reply
                    WHERE mq_reply.mq_id = k.id AND mq_reply.mq_id BETWEEN $2 AND $3 LIMIT 1) r
ORDER BY p.id
