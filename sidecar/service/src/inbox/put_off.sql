-- inbox.put_off: the last run of this copy ($2) has ended without an outcome, since its handler wants to be asked again later. A
-- row without an owner follows it, so that no copy takes the run for being at work, and none counts it. Runs of the inbox are
-- above zero ($3 = 1), counted repeats of a transactional handler below (-1). Guard: if another run has been taken meanwhile,
-- nothing is written.
INSERT INTO {schema}.mq_receive (uid, run, copy_key, source, target, attempt, deadline, proof)
SELECT uid, run + $3, 0, source, target, attempt, deadline, proof
FROM {schema}.mq_receive WHERE uid = $1 AND copy_key = $2 AND run * $3 > 0 ORDER BY run * $3 DESC LIMIT 1
ON CONFLICT DO NOTHING
