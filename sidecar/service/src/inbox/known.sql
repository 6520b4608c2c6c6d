-- inbox.known: what is known of messages that were taken before: their outcome, or their last run and whether its owner
-- is at work on it. An owner is another copy that lives and has time left; this copy ($3) looks into its own memory
-- before it asks. Then whether that run was this copy's, and last who asked what: each run of a message has the same. Its
-- sender may wait for its budget and, behind another leader, for as long again.
SELECT k.uid, o.answer::text, r.run,
       o.answer IS NULL AND r.copy_key <> $3 AND clock_timestamp() < r.deadline
         AND tpro.is_present($2::text, r.copy_key) AS at_work,
       r.copy_key = $3 AS ours,
       r.source, r.target, r.proof, clock_timestamp() < r.deadline + (r.deadline - r.at) AS is_awaited
FROM unnest($1::uuid[]) AS k (uid)
-- LIMIT keeps the planner from joining whole tables, whatever it believes of their size.
LEFT JOIN LATERAL (SELECT answer FROM {schema}.mq_outcome WHERE uid = k.uid LIMIT 1) o ON true
LEFT JOIN LATERAL (SELECT run, copy_key, source, target, proof, at, deadline FROM {schema}.mq_receive WHERE uid = k.uid
                   ORDER BY run DESC LIMIT 1) r ON true
