-- inbox.count_repeat: counts a run of a transactional handler before it begins, since its inbox row goes with it if it
-- ends the process. Only repeats are counted, by runs below zero. Guard: two that count at once get different numbers,
-- or none. Returns the number without those that were put off (counted.sql).
INSERT INTO {schema}.mq_receive (uid, run, copy_key, source, target, attempt, deadline, proof)
SELECT $1::uuid, coalesce(min(run), 0) - 1, $2, $3, $4, $5, clock_timestamp() + $6::bigint * interval '1 ms', $7
FROM {schema}.mq_receive WHERE uid = $1 AND run < 0
ON CONFLICT DO NOTHING
RETURNING (-run - 2 * (SELECT count(*) FROM {schema}.mq_receive p WHERE p.uid = $1 AND p.run < 0 AND p.copy_key = 0))::int
