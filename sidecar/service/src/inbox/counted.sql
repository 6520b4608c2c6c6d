-- inbox.counted: the number of repeats of a transactional handler's message that were counted. One that was put off has two rows
-- (put_off.sql) and does not count.
SELECT (coalesce(-min(run), 0) - 2 * count(*) FILTER (WHERE copy_key = 0))::int FROM {schema}.mq_receive WHERE uid = $1 AND run < 0
