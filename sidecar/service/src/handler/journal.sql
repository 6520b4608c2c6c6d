-- calls.record: puts calls that are over on record, each with its reply. Both rows or none: a direct row without a
-- reply would wait for ever, since nobody dispatches it. Ids are drawn first, since two calls may have the same uid.
-- Guard: a call that led to an outcome counts only if this very transaction stores that outcome ($19 names its
-- message).
WITH calls AS MATERIALIZED (
  -- No backlog keeps what is over from being put on record.
  SELECT nextval('{schema}.mq_publish_id_seq') AS id, set_config('tpro.journaling', 'on', true), c.*
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[],
              $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::int[],
              $16::timestamptz[], $17::timestamptz[], $18::text[], $19::uuid[])
    AS c (uid, space_name, service_name, entity, method_name, timeout, headers, body, created_at, traceparent,
          tracestate, status, result, error, attempts, sent_at, replied_at, responder, outcome_of)
  WHERE outcome_of IS NULL
     -- A scalar subquery is looked up by index for each row; EXISTS behind an OR may become a hash of the whole table.
     OR (SELECT o.xmin FROM {schema}.mq_outcome o WHERE o.uid = outcome_of) = pg_current_xact_id()::xid
), recorded AS (
  INSERT INTO {schema}.mq_publish (id, uid, direct, protocol, space_name, service_name, entity, method_name, timeout,
                                   headers, body, created_at, traceparent, tracestate)
  SELECT id, uid, true, 'jsonrpc', space_name, service_name, entity, method_name, timeout,
         headers::jsonb, body::jsonb, created_at, traceparent, tracestate
  FROM calls
)
INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, attempts, sent_at, replied_at, responder)
SELECT id, uid, status, result::jsonb, error::jsonb, attempts, sent_at,
       coalesce(replied_at, clock_timestamp()), responder
FROM calls
