-- inbox.accept_unaccepted: takes messages for a run each. Guard: nobody has taken the same run before; who comes second
-- gets no row back. In the order of uids, so that two copies cannot wait for each other.
INSERT INTO {schema}.mq_receive (uid, run, copy_key, source, target, attempt, deadline, proof)
SELECT uid, run, $8, source, target, attempt, clock_timestamp() + budget_ms * interval '1 ms', proof
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::text[])
  AS a (uid, run, source, target, attempt, budget_ms, proof)
ORDER BY uid
ON CONFLICT DO NOTHING
RETURNING uid
