-- The parts of sql/from_go.sql, which `tpro migrate` runs as well. They are of the session and go with it.

-- Refuses a database without the extension, and a role that is no superuser.
CREATE OR REPLACE FUNCTION pg_temp.from_go_must_have_superuser() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regnamespace('tpro') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the extension pg_tpro is not in this database',
            HINT = 'CREATE EXTENSION pg_tpro, as a superuser.';
    END IF;
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('role %s is no superuser', current_user),
            HINT = 'The schema of another owner is renamed, and roles are granted: log in as a superuser.';
    END IF;
END
$$;

-- Refuses what is no schema of the Go system, and says what was found.
CREATE OR REPLACE FUNCTION pg_temp.from_go_must_be(service text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := service || '_service';
    missing text;
BEGIN
    PERFORM pg_temp.from_go_must_have_superuser();
    PERFORM tpro.must_be_name(service);
    IF to_regnamespace(quote_ident(schema_name)) IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('there is no schema %s, so there is nothing to take over', schema_name),
            HINT = format('SELECT tpro.create_service(%L) makes a new one.', service);
    END IF;
    IF EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = service) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema %s is a service of tpro already', schema_name),
            HINT = CASE WHEN to_regnamespace(quote_ident(schema_name || '_go')) IS NULL THEN 'There is nothing to do.'
                        ELSE format('It was taken over: schema %s_go is there.', schema_name) END;
    END IF;
    SELECT string_agg(w.name, ', ' ORDER BY w.n) INTO missing
      FROM unnest(ARRAY['id', 'mq_id', 'protocol', 'space_name', 'service_name', 'entity', 'method_name', 'timeout', 'headers', 'body',
                        'created_at', 'reply_to', 'direct']) WITH ORDINALITY w (name, n)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = to_regclass(format('%I.mq_publish', schema_name)) AND a.attname = w.name AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema %s is neither tpro''s nor the Go system''s: its mq_publish lacks %s', schema_name, missing),
            HINT = 'Name the service whose outbox it is.';
    END IF;
    IF to_regnamespace(quote_ident(schema_name || '_go')) IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema %s_go is there already', schema_name),
            HINT = 'It is of an earlier try. Drop or rename it.';
    END IF;
END
$$;

-- The rule of a batch that a row breaks, as tpro would say it; null if it breaks none. The trigger of an outbox has these rules,
-- and no domain and no function has them.
CREATE OR REPLACE FUNCTION pg_temp.from_go_batch_refusal(protocol text, headers jsonb, body jsonb) RETURNS text
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN headers #>> '{request,type}' IS DISTINCT FROM 'batch' THEN NULL
        WHEN protocol <> 'jsonrpc' THEN 'protocol must be jsonrpc when request.type is batch'
        WHEN CASE WHEN jsonb_typeof(body) = 'array'
                  THEN jsonb_array_length(body) BETWEEN 1 AND 1000
                       AND NOT EXISTS (SELECT FROM jsonb_array_elements(body) e (request)
                                        WHERE jsonb_typeof(e.request) NOT IN ('object', 'array'))
                  ELSE false END THEN NULL
        ELSE 'body must be an array of 1 to 1000 objects or arrays when request.type is batch' END
$$;

-- The first rule of an outbox that a row breaks, as tpro would say it; null if it is a message.
CREATE OR REPLACE FUNCTION pg_temp.from_go_refusal(
    protocol text, space_name text, service_name text, entity text, method_name text, wait integer, headers jsonb, body jsonb, reply_to text)
    RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM protocol::tpro.protocol, space_name::tpro.space_name, service_name::tpro.service_name, entity::tpro.entity,
            method_name::tpro.method_name, greatest(wait, 0)::tpro.timeout, headers::tpro.headers, body::tpro.body,
            reply_to::tpro.reply_to, tpro.check_body_for(protocol, body);
    RETURN pg_temp.from_go_batch_refusal(protocol, headers, body);
EXCEPTION WHEN OTHERS THEN
    -- A text of tpro names the column and the rule, and shows no value that can be a body.
    RETURN SQLERRM;
END
$$;

-- What the new rules would refuse, and what to look at by hand. Of the last million rows; `messages` is their number, `example` the
-- id of one.
CREATE OR REPLACE FUNCTION pg_temp.from_go_check(service text) RETURNS TABLE (kind text, finding text, messages bigint, example bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := service || '_service';
    outside text;
BEGIN
    PERFORM pg_temp.from_go_must_be(service);
    RETURN QUERY EXECUTE format($q$
        SELECT 'refused'::text, f.refusal, sum(f.messages)::bigint, max(f.example)
          FROM (SELECT pg_temp.from_go_refusal(p.protocol::text, p.space_name::text, p.service_name::text, p.entity::text,
                           p.method_name::text, p.timeout::integer, p.headers::jsonb, p.body::jsonb, p.reply_to::text) AS refusal,
                       g.messages, g.example
                  FROM (SELECT max(m.id)::bigint AS example, count(*) AS messages FROM %1$I.mq_publish m
                         WHERE NOT m.direct AND m.id > (SELECT max(l.id) - 1000000 FROM %1$I.mq_publish l)
                         -- A row stands for those that look like it.
                         GROUP BY m.protocol, m.space_name, m.service_name, m.entity, m.method_name, m.reply_to IS NULL,
                                  m.timeout > 86400, jsonb_typeof(m.headers::jsonb), m.headers::jsonb - 'request',
                                  jsonb_typeof(m.headers::jsonb -> 'request'), m.headers::jsonb #> '{request,type}',
                                  CASE WHEN m.headers::jsonb #>> '{request,type}' = 'batch'
                                       THEN pg_temp.from_go_batch_refusal(m.protocol::text, m.headers::jsonb, m.body::jsonb) END,
                                  jsonb_typeof(m.body::jsonb), length(m.body::text) > 900000) g
                  JOIN %1$I.mq_publish p ON p.id = g.example) f
         WHERE f.refusal IS NOT NULL GROUP BY f.refusal ORDER BY 3 DESC
    $q$, schema_name);
    RETURN QUERY EXECUTE format($q$
        SELECT 'look'::text, 'request.type is ' || t.type || ': tpro knows single and batch only', t.messages, t.example
          FROM (SELECT coalesce(m.headers::jsonb -> 'request' ->> 'type', 'single') AS type, count(*) AS messages, max(m.id)::bigint AS example
                  FROM %1$I.mq_publish m WHERE m.id > (SELECT max(l.id) - 1000000 FROM %1$I.mq_publish l) GROUP BY 1) t
         WHERE t.type NOT IN ('single', 'batch') AND t.type ~ '^[A-Za-z0-9_-]{1,40}$' ORDER BY t.messages DESC
    $q$, schema_name);
    -- These go on with the old tables by their oids, and not by their names.
    SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), '; ') INTO outside
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = schema_name
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'n'
     CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) a
     WHERE a.object_names[1] NOT IN (n.nspname, 'pg_toast');
    IF outside IS NOT NULL THEN
        RETURN QUERY SELECT 'look'::text, format('these hang on the old tables and stay with them: %s', outside), NULL::bigint, NULL::bigint;
    END IF;
END
$$;

-- The id up to which the Go copies may have sent. Taken under a lock that every open INSERT ends before, it says for sure: no row
-- at or below it can still commit.
CREATE OR REPLACE FUNCTION pg_temp.from_go_mark(service text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    marked bigint;
BEGIN
    PERFORM pg_temp.from_go_must_be(service);
    EXECUTE format('LOCK TABLE %I.mq_publish IN SHARE MODE', service || '_service');
    EXECUTE format('SELECT coalesce(max(id), 0) FROM %I.mq_publish', service || '_service') INTO marked;
    RETURN marked;
END
$$;

-- The take-over. Rows beyond `after` were not sent. Returns how many they are.
-- The lock is not waited for long: publishers would queue behind it, behind a long transaction.
CREATE OR REPLACE FUNCTION pg_temp.from_go_run(service text, after bigint, login text, OUT taken bigint, OUT next_id bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    schema_name text := service || '_service';
    old_name text := service || '_service_go';
    problem record;
BEGIN
    PERFORM pg_temp.from_go_must_be(service);
    IF login <> '' AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = login) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('there is no role %s', login),
            HINT = 'Name the role by which the application logs in, the old DB_USER; or none, and grant by hand.';
    END IF;
    -- The old times have no zone. They are of the zone of the database, and this session may have another one.
    PERFORM set_config('TimeZone', (SELECT s.reset_val FROM pg_settings s WHERE s.name = 'TimeZone'), true);
    -- Open publishes end first; new ones wait, and then find the new table by its name.
    EXECUTE format('LOCK TABLE %I.mq_publish IN ACCESS EXCLUSIVE MODE', schema_name);
    EXECUTE format($q$
        SELECT count(*) AS messages, min(f.id) AS id, min(f.refusal) AS refusal
          FROM (SELECT p.id, pg_temp.from_go_refusal(p.protocol::text, p.space_name::text, p.service_name::text, p.entity::text,
                       p.method_name::text, p.timeout::integer, p.headers::jsonb, p.body::jsonb, p.reply_to::text) AS refusal
                  FROM %I.mq_publish p WHERE NOT p.direct AND p.id > $1) f
         WHERE f.refusal IS NOT NULL
    $q$, schema_name) INTO problem USING after;
    IF problem.messages > 0 THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s messages that were not sent break a rule of tpro, the first is %s: %s', problem.messages, problem.id,
                             problem.refusal),
            DETAIL = 'Nothing has been changed.',
            HINT = format('UPDATE or DELETE them in %I.mq_publish, or name a later id.', schema_name);
    END IF;
    -- From here on publishers wait. What is still needed is short: roles, which another database may be making.
    PERFORM set_config('lock_timeout', '5s', true);
    -- The history stays readable. Triggers and functions go with it.
    EXECUTE format('ALTER SCHEMA %I RENAME TO %I', schema_name, old_name);
    PERFORM tpro.create_service(service);
    -- No id means two messages, here and in the history.
    EXECUTE format('SELECT 1 + greatest(max(greatest(p.id, p.mq_id)), $1, 0) FROM %I.mq_publish p', old_name) INTO next_id
      USING pg_sequence_last_value(pg_get_serial_sequence(format('%I.mq_publish', old_name), 'id')::regclass);
    PERFORM setval(format('%I.mq_publish_id_seq', schema_name)::regclass, next_id, false);
    -- No message waits below it: publishers are refused by the distance of the sequence from what the leader has noted.
    EXECUTE format('UPDATE %I.mq_backlog SET upto = $1', schema_name) USING next_id - 1;
    -- For ids beyond the first five million.
    PERFORM tpro.make_partitions(service, t.name, 1000000) FROM unnest(ARRAY['mq_publish', 'mq_reply']) t (name);
    EXECUTE format($q$
        INSERT INTO %I.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to)
        SELECT p.protocol, p.space_name, p.service_name, p.entity, p.method_name, greatest(p.timeout, 0), p.headers::jsonb, p.body::jsonb,
               p.created_at, p.reply_to
          FROM %I.mq_publish p WHERE NOT p.direct AND p.id > $1 ORDER BY p.id
    $q$, schema_name, old_name) USING after;
    GET DIAGNOSTICS taken = ROW_COUNT;
    IF login <> '' THEN
        EXECUTE format('GRANT %I, %I TO %I', service || '_publisher', service || '_sidecar', login);
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET tpro.sender = %L', login, current_database(), service);
    END IF;
END
$$;

-- The same two, for a caller who tries again: null while others hold the table.
CREATE OR REPLACE FUNCTION pg_temp.from_go_try_mark(service text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN pg_temp.from_go_mark(service);
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION pg_temp.from_go_try_run(service text, after bigint, login text, OUT taken bigint, OUT next_id bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT r.taken, r.next_id INTO taken, next_id FROM pg_temp.from_go_run(service, after, login) r;
EXCEPTION WHEN lock_not_available THEN
    taken := NULL;
END
$$;
