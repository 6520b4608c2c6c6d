-- inbox.counted: the number of repeats of a transactional handler's message that were counted.
SELECT coalesce(-min(run), 0) FROM {schema}.mq_receive WHERE uid = $1 AND run < 0
