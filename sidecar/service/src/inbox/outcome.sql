-- inbox.outcome: the stored outcomes of messages.
SELECT k.uid, o.answer::text
FROM unnest($1::uuid[]) AS k (uid)
CROSS JOIN LATERAL (SELECT answer FROM {schema}.mq_outcome WHERE uid = k.uid LIMIT 1) o
