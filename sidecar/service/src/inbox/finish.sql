-- inbox.finish_unfinished: stores outcomes. Guard: the first outcome of a message wins; who comes second gets no row
-- back, and answers with the winner's.
INSERT INTO {schema}.mq_outcome (uid, run, answer)
SELECT uid, run, answer::jsonb
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS f (uid, run, answer)
ORDER BY uid
ON CONFLICT DO NOTHING
RETURNING uid
