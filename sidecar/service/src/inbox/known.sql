-- inbox.known: the facts about messages whose runs were taken before. What follows from them is decided in verdict.rs.
-- `answer` is the outcome. Of the last run: its number, whether it is this copy's ($3), whether it has time left, and whether
-- its owner is present; that tries a lock, so it is asked only of another copy's run that has no outcome. Last who asked what:
-- each run of a message has the same. The sender may wait for its budget and, behind another leader, for as long again.
-- `put_off` is the number of runs that their handlers have put off (put_off.sql).
SELECT k.uid, o.answer::text AS answer, r.run, r.copy_key = $3 AS ours, clock_timestamp() < r.deadline AS has_time,
       CASE WHEN o.answer IS NULL AND r.copy_key NOT IN ($3, 0) THEN tpro.is_present($2::text, r.copy_key) END AS is_present,
       r.source, r.target, r.proof, clock_timestamp() < r.deadline + (r.deadline - r.at) AS is_awaited,
       (SELECT count(*)::int FROM {schema}.mq_receive p WHERE p.uid = k.uid AND p.run > 0 AND p.copy_key = 0) AS put_off
FROM unnest($1::uuid[]) AS k (uid)
-- LIMIT keeps the planner from joining whole tables, whatever it believes of their size.
LEFT JOIN LATERAL (SELECT answer FROM {schema}.mq_outcome WHERE uid = k.uid LIMIT 1) o ON true
LEFT JOIN LATERAL (SELECT run, copy_key, source, target, proof, at, deadline FROM {schema}.mq_receive WHERE uid = k.uid
                   ORDER BY run DESC LIMIT 1) r ON true
