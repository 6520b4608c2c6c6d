-- inbox.begun: how many repeats of a transactional handler's message were begun and counted.
SELECT coalesce(-min(run), 0) FROM {schema}.mq_receive WHERE uid = $1 AND run < 0
