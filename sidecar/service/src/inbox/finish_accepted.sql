-- inbox.finish_accepted: stores outcomes of messages that were accepted in another session than this. Guards: as in finish.sql,
-- and this copy ($4) has accepted the message. A failover may have lost that, and with it the proof that a repeat must give;
-- somebody else may have asked another copy since. Then no outcome is stored, nothing is answered, and the message is accepted
-- and runs again.
INSERT INTO {schema}.mq_outcome (uid, run, answer)
SELECT uid, run, answer::jsonb
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS f (uid, run, answer)
-- OFFSET keeps the planner from joining whole tables, whatever it believes of their size.
WHERE EXISTS (SELECT FROM {schema}.mq_receive r WHERE r.uid = f.uid AND r.copy_key = $4 OFFSET 0)
ORDER BY uid
ON CONFLICT DO NOTHING
RETURNING uid
