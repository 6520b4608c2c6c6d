-- pg_tpro 0.1.0 to 0.1.1, by hand. Run by ALTER EXTENSION pg_tpro UPDATE as a superuser, under load if need be: it locks no
-- table of a service. What those tables need is done by tpro.upgrade_service(), for each service by itself.
--
-- What 0.1.0 has keeps its identity: a function is replaced and not dropped, for the grants of users and services are on it.
-- No GRANT and no REVOKE names a function that services have a right to: PostgreSQL would take those rights for the
-- extension's own, and pg_dump would leave them out. Rights of services are granted by tpro.upgrade_service().
\echo Use "ALTER EXTENSION pg_tpro UPDATE" to load this file. \quit

-- Each release has its library in a file of its own. A session that has loaded that of 0.1.0 loads this one beside it, and finds
-- every function of this release.
CREATE OR REPLACE FUNCTION tpro.check_protocol(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_protocol_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_space_name(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_space_name_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_service_name(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_service_name_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_entity(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_entity_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_method_name(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_method_name_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_timeout(value pg_catalog.int4) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_timeout_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_headers(value pg_catalog.jsonb) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_headers_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_body_for(protocol pg_catalog.text, body pg_catalog.jsonb) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_body_for_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_uid(value pg_catalog.uuid) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_uid_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_created_at(value pg_catalog.timestamptz) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_created_at_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_expires_at(value pg_catalog.timestamptz) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_expires_at_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_reply_to(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_reply_to_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_traceparent(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_traceparent_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_tracestate(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_tracestate_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.check_status(value pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_status_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.uuid7() RETURNS pg_catalog.uuid
    AS 'MODULE_PATHNAME', 'uuid7_wrapper' LANGUAGE c VOLATILE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.new_traceparent() RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'new_traceparent_wrapper' LANGUAGE c VOLATILE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.new_tracestate() RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'new_tracestate_wrapper' LANGUAGE c STABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.space() RETURNS pg_catalog.text
    AS 'MODULE_PATHNAME', 'space_wrapper' LANGUAGE c STABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.max_body() RETURNS pg_catalog.int4
    AS 'MODULE_PATHNAME', 'max_body_wrapper' LANGUAGE c STABLE PARALLEL SAFE;
CREATE OR REPLACE FUNCTION tpro.sender_schema(sender pg_catalog.text DEFAULT NULL) RETURNS pg_catalog.regnamespace
    AS 'MODULE_PATHNAME', 'sender_schema_wrapper' LANGUAGE c STABLE;
CREATE OR REPLACE FUNCTION tpro.bell() RETURNS trigger
    AS 'MODULE_PATHNAME', 'bell_wrapper' LANGUAGE c;
CREATE OR REPLACE FUNCTION tpro.backlog(service pg_catalog.text) RETURNS pg_catalog.int8
    AS 'MODULE_PATHNAME', 'backlog_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.publish(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    AS 'MODULE_PATHNAME', 'publish_wrapper' LANGUAGE c VOLATILE;
CREATE OR REPLACE FUNCTION tpro.lead(service pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'lead_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.sleep(service pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'sleep_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.wake(service pg_catalog.text) RETURNS void
    AS 'MODULE_PATHNAME', 'wake_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.maintain(service pg_catalog.text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'maintain_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.present(service pg_catalog.text, copy_key pg_catalog.int4) RETURNS boolean
    AS 'MODULE_PATHNAME', 'present_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.is_present(service pg_catalog.text, copy_key pg_catalog.int4) RETURNS boolean
    AS 'MODULE_PATHNAME', 'is_present_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.must_serve(service pg_catalog.text) RETURNS void
    AS 'MODULE_PATHNAME', 'must_serve_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE OR REPLACE FUNCTION tpro.create_service(name pg_catalog.text) RETURNS pg_catalog.regnamespace
    AS 'MODULE_PATHNAME', 'create_service_wrapper'
    LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

CREATE OR REPLACE FUNCTION tpro.check_body(value pg_catalog.jsonb) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_body_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION tpro.check_body(pg_catalog.jsonb) IS 'rule of column body: not null (else 22023), at most 64 MiB of text and 127 levels (else 54000)';

COMMENT ON FUNCTION tpro.bell() IS
    'trigger of each outbox: refuses a row that may not be sent, and at the commit wakes a dispatcher that sleeps; 22023 the priority, the ordering key, on_reply or the transaction, 42883 or 42501 the function of on_reply, 53400 more messages wait than tpro.max_backlog, 54000 the body is too large';
COMMENT ON FUNCTION tpro.check_reply_to(pg_catalog.text) IS 'rule of column reply_to: a label, tokens of a NATS subject with dots between, or null; else 22023';
COMMENT ON DOMAIN tpro.reply_to IS 'the label to which the sidecar publishes the bare reply';
COMMENT ON DOMAIN tpro.headers IS 'what travels beside the body: an object; tpro reads request.type, event.ack, ordering.on_error and content-language';

CREATE OR REPLACE FUNCTION tpro.retry(id pg_catalog.int8, sender pg_catalog.text DEFAULT NULL) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(retry.sender)::text;
    copy bigint;
    added bigint;
    settled boolean;
    has_all boolean;
BEGIN
    EXECUTE format('SELECT NOT p.direct AND EXISTS (SELECT FROM %1$s.mq_reply r WHERE r.mq_id = p.id)
                      FROM %1$s.mq_publish p WHERE p.id = $1
                    UNION ALL SELECT false WHERE tpro.later_tx($1, $2) IS NOT NULL LIMIT 1', schema_name) INTO settled USING retry.id, schema_name;
    IF settled IS NULL THEN
        PERFORM tpro.no_message(retry.id, schema_name);
    ELSIF NOT settled THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('message %s of %s is not settled yet, or was a call that its service made itself', retry.id, schema_name),
            HINT = 'Wait until it is settled, or settle it by tpro.cancel().';
    END IF;
    -- A message of its own: another uid, so that its target runs it, and another trace. What had expired may go now. An outbox as an
    -- earlier release has made it has none of the last columns.
    SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = (schema_name || '.mq_publish')::regclass
                      AND a.attname = 'retry_of' AND NOT a.attisdropped) INTO has_all;
    EXECUTE format('INSERT INTO %1$s.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body, reply_to%2$s)
                    SELECT p.protocol, p.space_name, p.service_name, p.entity, p.method_name, p.timeout, p.headers, p.body, p.reply_to%3$s
                      FROM %1$s.mq_publish p WHERE p.id = $1 RETURNING id', schema_name,
                   CASE WHEN has_all THEN ', priority, ordering_key, on_reply, retry_of' ELSE '' END,
                   CASE WHEN has_all THEN ', p.priority, p.ordering_key, p.on_reply, p.id' ELSE '' END)
        INTO copy USING retry.id;
    IF to_regclass(schema_name || '.mq_hold') IS NOT NULL THEN
        -- Where the message holds its key, the copy goes before those that wait. The rows of the key are locked first: who lets the
        -- key go meanwhile sees the copy, too, or none is added.
        EXECUTE format('SELECT FROM %1$s.mq_hold h WHERE h.ordering_key IN (SELECT own.ordering_key FROM %1$s.mq_hold own WHERE own.id = $1)
                         ORDER BY h.id FOR UPDATE OF h', schema_name) USING retry.id;
        EXECUTE format('INSERT INTO %1$s.mq_hold (id, space_name, service_name, ordering_key)
                        SELECT $1, h.space_name, h.service_name, h.ordering_key FROM %1$s.mq_hold h WHERE h.id = $2', schema_name)
            USING copy, retry.id;
        GET DIAGNOSTICS added = ROW_COUNT;
        IF added > 0 THEN
            PERFORM pg_notify('cancelled_in_' || schema_name, '');
        END IF;
    END IF;
    RETURN copy;
END
$$;
COMMENT ON FUNCTION tpro.retry(pg_catalog.int8, pg_catalog.text) IS
    'publishes a copy of a settled message as a new one, and returns its id; 55000 it is not settled or no sender is given, P0002 unknown id, 3F000 unknown sender, 53400 too many wait, 42883 or 42501 the function of its on_reply';

CREATE FUNCTION tpro.release(
    ordering_key pg_catalog.text, service_name pg_catalog.text DEFAULT NULL, sender pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(release.sender)::text;
    released bigint;
BEGIN
    IF to_regclass(schema_name || '.mq_hold') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s is as an earlier release has made it, which held no key', schema_name),
            HINT = format('SELECT tpro.upgrade_service(%L).', left(schema_name, -8));
    ELSIF release.ordering_key IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'ordering_key must not be null',
            HINT = format('SELECT * FROM %s.mq_hold shows the keys that are held.', schema_name);
    END IF;
    -- A copy that is being added is waited for.
    EXECUTE format('SELECT FROM %s.mq_hold h WHERE h.ordering_key = $1 ORDER BY h.id FOR UPDATE', schema_name) USING release.ordering_key;
    EXECUTE format('WITH gone AS (DELETE FROM %s.mq_hold h WHERE h.ordering_key = $1 AND ($2 IS NULL OR h.service_name = $2)
                                  RETURNING h.space_name, h.service_name)
                    SELECT count(DISTINCT (space_name, service_name)) FROM gone', schema_name)
        INTO released USING release.ordering_key, release.service_name;
    IF released > 0 THEN
        -- As of tpro.cancel(): the leader looks into the tables.
        PERFORM pg_notify('cancelled_in_' || schema_name, '');
    END IF;
    RETURN released;
END
$$;
ALTER FUNCTION tpro.release(pg_catalog.text, pg_catalog.text, pg_catalog.text) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.release(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'lets the messages of an ordering key go on that wait since one of them has failed, to one service or to all; returns how many services those are; not in a transaction that is to be prepared; 22023 no key, 55000 no sender, 3F000 unknown sender';

-- reply.settle_holding and the transaction of a reply handler call it, for what has ended well. A sidecar has no right to delete.
CREATE FUNCTION tpro.end_holds(service pg_catalog.text, ids pg_catalog.int8[]) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
    ended bigint;
BEGIN
    PERFORM tpro.must_serve(service);
    EXECUTE format('SELECT FROM %1$s.mq_hold h WHERE h.ordering_key IN (SELECT own.ordering_key FROM %1$s.mq_hold own WHERE own.id = ANY ($1))
                     ORDER BY h.id FOR UPDATE OF h', tpro.sender_schema(service)) USING ids;
    EXECUTE format('DELETE FROM %1$s.mq_hold h USING %1$s.mq_hold own
                     WHERE own.id = ANY ($1) AND h.ordering_key = own.ordering_key AND h.service_name = own.service_name
                       AND h.space_name = own.space_name', tpro.sender_schema(service))
        USING ids;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
ALTER FUNCTION tpro.end_holds(pg_catalog.text, pg_catalog.int8[]) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.end_holds(pg_catalog.text, pg_catalog.int8[]) IS
    'lets the ordering keys go that these messages hold, since they have ended well; how many rows that were; errors as tpro.lead';

-- For body => json_build_object(...), and for what a driver sends as text. Only the function above has a default for body; an
-- untyped literal is taken for text, the preferred type of its category.
-- Without settings of their own they are no call at all: the planner puts the function above in their place.
CREATE FUNCTION tpro.publish(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.json,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE
AS $$
    SELECT tpro.publish(service_name, entity, method_name, body::pg_catalog.jsonb, headers, timeout, protocol, reply_to, sender, space_name)
$$;
COMMENT ON FUNCTION tpro.publish(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'the same with a body of type json; 22P02 it is no JSON';

CREATE FUNCTION tpro.publish(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.text,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE
AS $$
    SELECT tpro.publish(service_name, entity, method_name, body::pg_catalog.jsonb, headers, timeout, protocol, reply_to, sender, space_name)
$$;
COMMENT ON FUNCTION tpro.publish(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'the same with a body of type text; 22P02 it is no JSON';

-- With the arguments that 0.1.0 did not have. These stand beside the functions above, which keep their lists of arguments: by those a dump
-- of 0.1.0 grants rights to them, and open sessions and views of users call them. The type of service_name keeps the two apart. A text is
-- a text first, so PostgreSQL takes the functions above for every call without a new argument.
CREATE FUNCTION tpro.publish(
    service_name tpro.service_name,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    AS 'MODULE_PATHNAME', 'publish_ranked_wrapper' LANGUAGE c VOLATILE;
COMMENT ON FUNCTION tpro.publish(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'puts a message that is sent later, expires, or has a priority, an ordering key or a reply handler of its own into the sender''s outbox and returns its id; 42883 no function, 55000 the service is of an earlier release, else as publish';

CREATE FUNCTION tpro.publish(
    service_name tpro.service_name,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.json,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE
AS $$
    SELECT tpro.publish(service_name, entity, method_name, body::pg_catalog.jsonb, headers, timeout, protocol, reply_to, sender, space_name,
                        send_at, expires_at, priority, ordering_key, on_reply)
$$;
COMMENT ON FUNCTION tpro.publish(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'the same with a body of type json; 22P02 it is no JSON';

CREATE FUNCTION tpro.publish(
    service_name tpro.service_name,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.text,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL
) RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE
AS $$
    SELECT tpro.publish(service_name, entity, method_name, body::pg_catalog.jsonb, headers, timeout, protocol, reply_to, sender, space_name,
                        send_at, expires_at, priority, ordering_key, on_reply)
$$;
COMMENT ON FUNCTION tpro.publish(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'the same with a body of type text; 22P02 it is no JSON';

-- A type that a column does not take is told here, with its place and without its value.
CREATE FUNCTION tpro.must_be_messages(messages pg_catalog.jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrong record;
BEGIN
    IF jsonb_typeof(must_be_messages.messages) IS DISTINCT FROM 'array' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('messages must be an array of objects, and is %s', coalesce(jsonb_typeof(must_be_messages.messages), 'null')),
            HINT = 'One object for each message, its keys are column names: [{"body": {...}}, {"body": {...}, "timeout": 60}].';
    END IF;
    SELECT m.place - 1 AS place, k.key, jsonb_typeof(coalesce(k.value, m.message)) AS kind INTO wrong
      FROM jsonb_array_elements(must_be_messages.messages) WITH ORDINALITY AS m (message, place)
      LEFT JOIN LATERAL jsonb_each(CASE jsonb_typeof(m.message) WHEN 'object' THEN m.message END) AS k ON true
     WHERE jsonb_typeof(m.message) <> 'object'
        OR CASE
             WHEN k.key IS NULL OR k.key IN ('headers', 'body') THEN false
             WHEN k.key IN ('timeout', 'priority') THEN jsonb_typeof(k.value) <> 'number'
             WHEN k.key IN ('service_name', 'entity', 'method_name', 'protocol', 'space_name', 'reply_to', 'send_at', 'expires_at', 'ordering_key', 'on_reply',
                           'traceparent', 'tracestate')
               THEN jsonb_typeof(k.value) NOT IN ('string', 'null')
             ELSE true
           END
     ORDER BY m.place LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF wrong.key IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('messages[%s] must be an object, and is %s', wrong.place, wrong.kind),
            HINT = 'Its keys are column names: {"body": {...}, "timeout": 60}.';
    ELSIF wrong.key = 'timeout' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('messages[%s].timeout must be a number of seconds, and is %s', wrong.place, wrong.kind);
    ELSIF wrong.key = 'priority' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('messages[%s].priority must be a number, 0 to 3, and is %s', wrong.place, wrong.kind);
    ELSIF wrong.key IN ('service_name', 'entity', 'method_name', 'protocol', 'space_name', 'reply_to', 'send_at', 'expires_at', 'ordering_key', 'on_reply',
                           'traceparent', 'tracestate') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('messages[%s].%s must be a string, and is %s', wrong.place, wrong.key, wrong.kind);
    END IF;
    -- A key may be anybody's text: it is repeated only if it could be a column's name.
    RAISE invalid_parameter_value USING
        MESSAGE = format('messages[%s] has a key that is no column of a message%s', wrong.place,
                         CASE WHEN wrong.key ~ '^[a-z_]{1,40}$' THEN ': ' || wrong.key ELSE '' END),
        HINT = CASE WHEN wrong.key IN ('dedup_key', 'dedup_for')
                    THEN 'A key belongs to one message: call tpro.publish_once(), or for many INSERT INTO <service>_service.mq_once ... SELECT.'
                    ELSE 'The keys are service_name, entity, method_name, body, headers, timeout, protocol, reply_to, space_name, send_at, '
                         'expires_at, priority, ordering_key, on_reply, traceparent and tracestate. One sender publishes them all: it is an argument.' END;
END
$$;
COMMENT ON FUNCTION tpro.must_be_messages(pg_catalog.jsonb) IS
    'what tpro.publish_many takes: an array of objects whose keys are columns of an outbox; else 22023, with the place';

-- One INSERT for all of them. Where it is refused, parts of the array are tried until the place of the bad one is known; the error
-- takes all of them back.
CREATE FUNCTION tpro.publish_many(
    messages pg_catalog.jsonb,
    service_name pg_catalog.text DEFAULT NULL,
    entity pg_catalog.text DEFAULT NULL,
    method_name pg_catalog.text DEFAULT NULL,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL
) RETURNS SETOF pg_catalog.int8
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(publish_many.sender)::text;
    -- %1$s the table, %2$s and %3$s what is said of on_reply and send_at.
    form CONSTANT text :=
        'INSERT INTO %1$s (service_name, entity, method_name, body, headers, timeout, protocol, reply_to, space_name,
                           expires_at, priority, ordering_key, traceparent, tracestate%2$s)
         SELECT CASE WHEN m ? ''service_name'' THEN m->>''service_name'' ELSE $4 END,
                CASE WHEN m ? ''entity'' THEN m->>''entity'' ELSE $5 END,
                CASE WHEN m ? ''method_name'' THEN m->>''method_name'' ELSE $6 END,
                CASE WHEN m ? ''body'' THEN m->''body'' ELSE $7 END,
                CASE WHEN m ? ''headers'' THEN m->''headers'' ELSE $8 END,
                CASE WHEN m ? ''timeout'' THEN (m->>''timeout'')::int4 ELSE $9 END,
                CASE WHEN m ? ''protocol'' THEN m->>''protocol'' ELSE $10 END,
                CASE WHEN m ? ''reply_to'' THEN m->>''reply_to'' ELSE $11 END,
                CASE WHEN m ? ''space_name'' THEN m->>''space_name'' ELSE $12 END,
                CASE WHEN m ? ''expires_at'' THEN (m->>''expires_at'')::timestamptz ELSE $13 END,
                CASE WHEN m ? ''priority'' THEN (m->>''priority'')::int4 ELSE $14 END,
                CASE WHEN m ? ''ordering_key'' THEN m->>''ordering_key'' ELSE $15 END,
                coalesce(m->>''traceparent'', tpro.new_traceparent()),
                coalesce(m->>''tracestate'', tpro.new_tracestate())%3$s
          ORDER BY place
         RETURNING id::int8';
    messages_of CONSTANT text := '
           FROM jsonb_array_elements($1) WITH ORDINALITY AS e (m, place)
          WHERE place > $2 AND place <= $3';
    is_later CONSTANT text := 'CASE WHEN m ? ''send_at'' THEN m->>''send_at'' ELSE $17::text END IS NOT NULL';
    -- Those that wait for their time go into a table of their own.
    later boolean;
    -- A publisher may have no right to on_reply, so nobody names it who does not give it.
    handled boolean;
    function_columns text;
    function_values text;
    statement text;
    later_statement text;
    now_ids int8[];
    later_ids int8[];
    space text := coalesce(publish_many.space_name, tpro.space());
    first int4 := 0;
    after int4;
    middle int4;
    code text;
    words text;
    detail text;
    remedy text;
BEGIN
    PERFORM tpro.must_be_messages(publish_many.messages);
    after := jsonb_array_length(publish_many.messages);
    SELECT publish_many.send_at IS NOT NULL OR coalesce(bool_or(m ? 'send_at'), false),
           publish_many.on_reply IS NOT NULL OR coalesce(bool_or(m->>'on_reply' IS NOT NULL), false)
      INTO later, handled FROM jsonb_array_elements(publish_many.messages) m;
    function_columns := CASE WHEN handled THEN ', on_reply' ELSE '' END;
    function_values := CASE WHEN handled THEN ', CASE WHEN m ? ''on_reply'' THEN m->>''on_reply'' ELSE $16 END' ELSE '' END;
    statement := format(form, schema_name || '.mq_publish', function_columns,
        function_values || messages_of || CASE WHEN later THEN ' AND NOT ' || is_later ELSE '' END);
    later_statement := format(form, schema_name || '.mq_later', function_columns || ', send_at', function_values
        || ', CASE WHEN m ? ''send_at'' THEN (m->>''send_at'')::timestamptz ELSE $17 END' || messages_of || ' AND ' || is_later);
    BEGIN
        IF NOT later THEN
            RETURN QUERY EXECUTE statement USING publish_many.messages, first, after, publish_many.service_name, publish_many.entity,
                publish_many.method_name, publish_many.body, publish_many.headers, publish_many.timeout, publish_many.protocol,
                publish_many.reply_to, space, publish_many.expires_at, publish_many.priority, publish_many.ordering_key,
                publish_many.on_reply;
            RETURN;
        END IF;
        EXECUTE format('WITH i AS (%s) SELECT array_agg(i.id) FROM i', statement) INTO now_ids
            USING publish_many.messages, first, after, publish_many.service_name, publish_many.entity,
                publish_many.method_name, publish_many.body, publish_many.headers, publish_many.timeout, publish_many.protocol,
                publish_many.reply_to, space, publish_many.expires_at, publish_many.priority, publish_many.ordering_key,
                publish_many.on_reply, publish_many.send_at;
        EXECUTE format('WITH i AS (%s) SELECT array_agg(i.id) FROM i', later_statement) INTO later_ids
            USING publish_many.messages, first, after, publish_many.service_name, publish_many.entity,
                publish_many.method_name, publish_many.body, publish_many.headers, publish_many.timeout, publish_many.protocol,
                publish_many.reply_to, space, publish_many.expires_at, publish_many.priority, publish_many.ordering_key,
                publish_many.on_reply, publish_many.send_at;
        -- In the order of the array.
        RETURN QUERY
            SELECT CASE WHEN e.later THEN later_ids[e.number] ELSE now_ids[e.number] END
              FROM (SELECT p.place, p.later, row_number() OVER (PARTITION BY p.later ORDER BY p.place)::int4 AS number
                      FROM (SELECT m.place,
                                   CASE WHEN m.message ? 'send_at' THEN m.message->>'send_at' ELSE publish_many.send_at::text END IS NOT NULL AS later
                              FROM jsonb_array_elements(publish_many.messages) WITH ORDINALITY AS m (message, place)) p) e
             ORDER BY e.place;
    EXCEPTION WHEN undefined_column OR undefined_table THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s is as an earlier release has made it, which knew no %s', schema_name,
                             CASE SQLSTATE WHEN '42P01' THEN 'send_at' ELSE 'priority' END),
            HINT = format('SELECT tpro.upgrade_service(%L).', left(schema_name, -8));
    WHEN OTHERS THEN
        IF SQLSTATE !~ '^(22|23|54|42883)' THEN
            -- It is not about a value.
            RAISE;
        END IF;
        WHILE first < after LOOP
            -- The bad one is not before the first, and before the last.
            middle := (first + after + 1) / 2;
            BEGIN
                EXECUTE statement USING publish_many.messages, first, middle, publish_many.service_name, publish_many.entity,
                    publish_many.method_name, publish_many.body, publish_many.headers, publish_many.timeout,
                    publish_many.protocol, publish_many.reply_to, space, publish_many.expires_at, publish_many.priority,
                    publish_many.ordering_key, publish_many.on_reply, publish_many.send_at;
                IF later THEN
                    EXECUTE later_statement USING publish_many.messages, first, middle, publish_many.service_name, publish_many.entity,
                        publish_many.method_name, publish_many.body, publish_many.headers, publish_many.timeout,
                        publish_many.protocol, publish_many.reply_to, space, publish_many.expires_at, publish_many.priority,
                        publish_many.ordering_key, publish_many.on_reply, publish_many.send_at;
                END IF;
                first := middle;
            EXCEPTION WHEN OTHERS THEN
                IF middle = first + 1 THEN
                    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, words = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                        remedy = PG_EXCEPTION_HINT;
                    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = format('messages[%s]: %s', first, words),
                        HINT = coalesce(nullif(remedy, ''), nullif(detail, ''), 'Nothing of the array was published.');
                END IF;
                after := middle;
            END;
        END LOOP;
        -- None is bad by itself.
        RAISE;
    END;
END
$$;
COMMENT ON FUNCTION tpro.publish_many(pg_catalog.jsonb, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'puts the messages of an array into the sender''s outbox, all or none, and returns their ids in its order; an object''s keys are column names, the other arguments hold for those that leave them out; 22023 with the place of a bad one, else as publish';

-- For json_agg(...), and for what a driver sends as text; an untyped literal is taken for text.
CREATE FUNCTION tpro.publish_many(
    messages pg_catalog.json,
    service_name pg_catalog.text DEFAULT NULL,
    entity pg_catalog.text DEFAULT NULL,
    method_name pg_catalog.text DEFAULT NULL,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL
) RETURNS SETOF pg_catalog.int8
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM tpro.publish_many(messages::jsonb, service_name, entity, method_name, body, headers, timeout, protocol, reply_to, sender,
                                    space_name, send_at, expires_at, priority, ordering_key, on_reply)
$$;
COMMENT ON FUNCTION tpro.publish_many(pg_catalog.json, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'the same with messages of type json; 22P02 they are no JSON';

CREATE FUNCTION tpro.publish_many(
    messages pg_catalog.text,
    service_name pg_catalog.text DEFAULT NULL,
    entity pg_catalog.text DEFAULT NULL,
    method_name pg_catalog.text DEFAULT NULL,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL
) RETURNS SETOF pg_catalog.int8
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM tpro.publish_many(messages::jsonb, service_name, entity, method_name, body, headers, timeout, protocol, reply_to, sender,
                                    space_name, send_at, expires_at, priority, ordering_key, on_reply)
$$;
COMMENT ON FUNCTION tpro.publish_many(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'the same with messages of type text; 22P02 they are no JSON';

-- A key names an effect and is held for a time. The first message may be settled, cancelled, retried or dropped meanwhile: the key still
-- answers with its id. The primary key of mq_dedup decides. The second publisher waits for the end of the first one's transaction, and
-- publishes if that was rolled back. Two transactions that use the same keys in different orders may deadlock (40P01).
-- An advisory lock on the key would not do: after it, a transaction above READ COMMITTED still looks with its old snapshot, and some
-- thousands of these locks in one transaction are more than PostgreSQL has room for.
--
-- SECURITY DEFINER: nobody else reads or writes keys. The right is that of an INSERT into the view mq_once of the service.
CREATE FUNCTION tpro.once() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := quote_ident(TG_TABLE_SCHEMA);
    bytes CONSTANT int4 := octet_length(NEW.dedup_key);
    first record;
BEGIN
    IF bytes IS NULL OR bytes NOT BETWEEN 1 AND 200 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('dedup_key must be 1 to 200 bytes, not %s', coalesce(bytes::text, 'null')),
            HINT = 'A key names the effect that must not come twice, such as an order''s number. For a longer name give its sha256().';
    ELSIF (NEW.dedup_for > interval '0' AND NEW.dedup_for <= interval '30 days') IS NOT TRUE THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('dedup_for must be more than 0 and at most 30 days, not %s', coalesce(NEW.dedup_for::text, 'null')),
            HINT = 'The key is held for this time, from the first message on. What must never come twice needs a unique column of your own.';
    ELSIF NEW.id IS NOT NULL OR NEW.created IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'id and created are what comes back, and cannot be given',
            HINT = 'Leave them out, or give DEFAULT.';
    END IF;
    LOOP
        -- A new snapshot each time. Above READ COMMITTED it is the old one, and the INSERT or UPDATE below raises 40001.
        EXECUTE format('SELECT d.mq_id, d.until > clock_timestamp() AS holds FROM %s.mq_dedup d WHERE d.dedup_key = $1', schema_name)
            INTO first USING NEW.dedup_key;
        IF first.holds THEN
            NEW.id := first.mq_id;
            NEW.created := false;
            RETURN NEW;
        END IF;
        -- The transaction has its number before the id is drawn, as in the default of mq_publish.id.
        PERFORM pg_current_xact_id();
        IF first.holds IS NULL THEN
            -- It waits for another transaction that has inserted the key and is not over. If that one commits, nothing is locked here.
            EXECUTE format('INSERT INTO %1$s.mq_dedup (dedup_key, mq_id, until)
                            VALUES ($1, nextval(''%1$s.mq_publish_id_seq''), clock_timestamp() + make_interval(secs => $2))
                            ON CONFLICT (dedup_key) DO NOTHING RETURNING mq_id', schema_name)
                INTO NEW.id USING NEW.dedup_key, extract(epoch FROM NEW.dedup_for)::float8;
        ELSE
            -- It waits as well. A row that another transaction has renewed meanwhile is then locked: the block's end lets it go, so that
            -- a third publisher does not have to wait for this one, which publishes nothing.
            BEGIN
                EXECUTE format('UPDATE %1$s.mq_dedup d
                                   SET mq_id = nextval(''%1$s.mq_publish_id_seq''), until = clock_timestamp() + make_interval(secs => $2)
                                 WHERE d.dedup_key = $1 AND d.until <= clock_timestamp() RETURNING d.mq_id', schema_name)
                    INTO NEW.id USING NEW.dedup_key, extract(epoch FROM NEW.dedup_for)::float8;
                IF NEW.id IS NULL THEN
                    RAISE no_data_found;
                END IF;
            EXCEPTION WHEN no_data_found THEN
                NULL;
            END;
        END IF;
        EXIT WHEN NEW.id IS NOT NULL;
    END LOOP;
    EXECUTE format('INSERT INTO %1$s.%2$s (id, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at,
                                           reply_to, expires_at, traceparent, tracestate, priority, ordering_key, on_reply%3$s)
                    VALUES ($1.id, $1.protocol, $1.space_name, $1.service_name, $1.entity, $1.method_name, $1.timeout, $1.headers, $1.body,
                            $1.created_at, $1.reply_to, $1.expires_at, $1.traceparent, $1.tracestate, $1.priority, $1.ordering_key,
                            $1.on_reply%4$s)', schema_name,
                   CASE WHEN NEW.send_at IS NULL THEN 'mq_publish' ELSE 'mq_later' END,
                   CASE WHEN NEW.send_at IS NULL THEN '' ELSE ', send_at' END,
                   CASE WHEN NEW.send_at IS NULL THEN '' ELSE ', $1.send_at' END) USING NEW;
    NEW.created := true;
    RETURN NEW;
END
$$;
ALTER FUNCTION tpro.once() OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.once() IS
    'trigger of each view mq_once: puts a row into the outbox if its dedup_key is free, or gives back the id that has it';

-- For those who prefer a call. It has the rights of who calls it.
CREATE FUNCTION tpro.publish_once(
    dedup_key pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL,
    dedup_for pg_catalog.interval DEFAULT '1 day'
) RETURNS TABLE (id pg_catalog.int8, created pg_catalog.bool)
    LANGUAGE plpgsql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(publish_once.sender)::text;
BEGIN
    IF to_regclass(schema_name || '.mq_once') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s is as an earlier release has made it, which knew no dedup_key', schema_name),
            HINT = format('SELECT tpro.upgrade_service(%L).', left(schema_name, -8));
    END IF;
    RETURN QUERY EXECUTE format(
        'INSERT INTO %s.mq_once (dedup_key, dedup_for, service_name, entity, method_name, body, headers, timeout, protocol, reply_to, space_name,
                                 send_at, expires_at, priority, ordering_key%s)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15%s) RETURNING id, created', schema_name,
        -- A publisher may have no right to on_reply.
        CASE WHEN publish_once.on_reply IS NULL THEN '' ELSE ', on_reply' END,
        CASE WHEN publish_once.on_reply IS NULL THEN '' ELSE ', $16' END)
        USING publish_once.dedup_key, publish_once.dedup_for, publish_once.service_name, publish_once.entity, publish_once.method_name,
              publish_once.body, publish_once.headers, publish_once.timeout, publish_once.protocol, publish_once.reply_to,
              coalesce(publish_once.space_name, tpro.space()), publish_once.send_at, publish_once.expires_at, publish_once.priority,
              publish_once.ordering_key, publish_once.on_reply;
END
$$;
COMMENT ON FUNCTION tpro.publish_once(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.interval) IS
    'publishes unless the sender has published under this key already, within the time that it holds: the id of that first message and false; waits for the end of a transaction that has the key; 22023 bad key or time, 40001 above READ COMMITTED when another has come first, 55000 the service is of an earlier release, else as publish';

-- The same as of tpro.publish: an untyped body is taken for text.
CREATE FUNCTION tpro.publish_once(
    dedup_key pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.json,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL,
    dedup_for pg_catalog.interval DEFAULT '1 day'
) RETURNS TABLE (id pg_catalog.int8, created pg_catalog.bool)
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM tpro.publish_once(dedup_key, service_name, entity, method_name, body::jsonb, headers, timeout, protocol, reply_to, sender,
                                    space_name, send_at, expires_at, priority, ordering_key, on_reply, dedup_for)
$$;
COMMENT ON FUNCTION tpro.publish_once(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.interval) IS
    'the same with a body of type json; 22P02 it is no JSON';

CREATE FUNCTION tpro.publish_once(
    dedup_key pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.text,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    send_at pg_catalog.timestamptz DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    ordering_key pg_catalog.text DEFAULT NULL,
    on_reply pg_catalog.text DEFAULT NULL,
    dedup_for pg_catalog.interval DEFAULT '1 day'
) RETURNS TABLE (id pg_catalog.int8, created pg_catalog.bool)
    LANGUAGE sql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM tpro.publish_once(dedup_key, service_name, entity, method_name, body::jsonb, headers, timeout, protocol, reply_to, sender,
                                    space_name, send_at, expires_at, priority, ordering_key, on_reply, dedup_for)
$$;
COMMENT ON FUNCTION tpro.publish_once(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.interval) IS
    'the same with a body of type text; 22P02 it is no JSON';

-- The bell the other way round: who waits for replies, and is woken when they are committed (pg_tpro/src/waiters.rs).
-- ---------------------------------------------------------------------------------------------------------------------
-- Messages that are sent later. They wait in a table of their own, mq_later, so that nothing on the way of the others is for them.
-- When its time has come, a message goes into the outbox as a new row of a new transaction, and the dispatcher reads it as it reads
-- any other. Its id is from the outbox's sequence and stays; its uid is made when it goes.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION tpro.let_pass(rows pg_catalog.bool) RETURNS void
    AS 'MODULE_PATHNAME', 'let_pass_wrapper' LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION tpro.let_pass(pg_catalog.bool) IS
    'whether the rows that this transaction inserts next were judged when they were published: tpro.max_body, tpro.max_backlog and the rules for the function of on_reply hold for none of them';

-- Both read with the rights of who calls them, and in the snapshot of the statement that does.
CREATE FUNCTION tpro.later_tx(id pg_catalog.int8, schema_name pg_catalog.text) RETURNS pg_catalog.xid8
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    publisher xid8;
BEGIN
    -- An earlier release has made no table of it.
    IF to_regclass(later_tx.schema_name || '.mq_later') IS NOT NULL THEN
        EXECUTE format('SELECT l.tx FROM %s.mq_later l WHERE l.id = $1', later_tx.schema_name) INTO publisher USING later_tx.id;
    END IF;
    RETURN publisher;
END
$$;
COMMENT ON FUNCTION tpro.later_tx(pg_catalog.int8, pg_catalog.text) IS
    'the transaction that has published a message that waits for its send_at; null of any other';

CREATE FUNCTION tpro.has_later(schema_name pg_catalog.text, low pg_catalog.int8, high pg_catalog.int8) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    waits boolean;
BEGIN
    IF to_regclass(has_later.schema_name || '.mq_later') IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s.mq_later l WHERE l.id >= $1 AND l.id < $2)', has_later.schema_name)
        INTO waits USING has_later.low, has_later.high;
    RETURN waits;
END
$$;
COMMENT ON FUNCTION tpro.has_later(pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS
    'whether messages with ids from low to below high wait for their send_at';

-- SECURITY DEFINER: the login of a service may delete nothing. The look begins where the one before has ended, since what has gone
-- leaves dead entries in the index for as long as anybody has an old snapshot. A row that somebody has locked (a cancel) is passed over.
CREATE FUNCTION tpro.send_due(service pg_catalog.text, after pg_catalog.timestamptz, at_most pg_catalog.int4)
    RETURNS TABLE (sent pg_catalog.int8, least_id pg_catalog.int8, upto pg_catalog.timestamptz, next_in_ms pg_catalog.int8,
                   next_at pg_catalog.timestamptz, refused pg_catalog.text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    SET enable_seqscan = off
    -- A table that somebody has locked must not hold up the leader's session.
    SET lock_timeout = '500ms'
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(send_due.service)::text;
    now CONSTANT timestamptz := clock_timestamp();
    first CONSTANT timestamptz := coalesce(send_due.after, '-infinity');
    columns CONSTANT text := 'id, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, '
        'reply_to, expires_at, traceparent, tracestate, priority, ordering_key, on_reply, retry_of';
    -- What says nothing about a row.
    not_of_a_row CONSTANT text := '^(08|25|3D|3F|40|42|53|55|57|58|XX)';
    move text;
    one record;
    others int4 := 0;
    problem text;
    other_id int8;
BEGIN
    PERFORM tpro.must_serve(send_due.service);
    IF to_regclass(schema_name || '.mq_later') IS NULL THEN
        RETURN;
    END IF;
    move := format(
        'WITH due AS (
             DELETE FROM %1$s.mq_later l WHERE l.ctid = ANY (ARRAY(
                 SELECT s.place FROM (
                     SELECT k.place, sum(k.bytes) OVER (ORDER BY k.send_at, k.id) - k.bytes AS before
                       FROM (SELECT m.ctid AS place, m.send_at, m.id, pg_column_size(m.body) AS bytes
                               FROM %1$s.mq_later m WHERE m.send_at >= $1 AND m.send_at <= $2
                              ORDER BY m.send_at, m.id LIMIT $3 FOR UPDATE SKIP LOCKED) k) s
                  WHERE s.before < 8000000))
             RETURNING l.*
         ), gone AS (
             INSERT INTO %1$s.mq_publish (%2$s) SELECT %2$s FROM due d ORDER BY d.send_at, d.id RETURNING id
         )
         SELECT (SELECT count(*) FROM gone), (SELECT min(g.id) FROM gone g), (SELECT max(d.send_at) FROM due d)', schema_name, columns);
    BEGIN
        PERFORM tpro.let_pass(true);
        EXECUTE move INTO sent, least_id, upto USING first, now, send_due.at_most;
    EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE ~ not_of_a_row THEN
            RAISE;
        END IF;
        -- One of them cannot go, and must not hold up the others.
        sent := 0;
        FOR one IN EXECUTE format('SELECT k.id, k.send_at FROM %s.mq_later k WHERE k.send_at >= $1 AND k.send_at <= $2
                                    ORDER BY k.send_at, k.id LIMIT $3 FOR UPDATE SKIP LOCKED', schema_name)
                   USING first, now, send_due.at_most LOOP
            BEGIN
                PERFORM tpro.let_pass(true);
                EXECUTE format('WITH due AS (DELETE FROM %1$s.mq_later l WHERE l.id = $1 RETURNING l.*)
                                INSERT INTO %1$s.mq_publish (%2$s) SELECT %2$s FROM due', schema_name, columns) USING one.id;
                sent := sent + 1;
                least_id := least(least_id, one.id);
                upto := one.send_at;
            EXCEPTION WHEN OTHERS THEN
                IF SQLSTATE ~ not_of_a_row THEN
                    RAISE;
                END IF;
                problem := SQLERRM || '; it is tried again in a minute';
                other_id := NULL;
                IF SQLSTATE = '23505' THEN
                    -- A failover may have lost the draw of an id that was used after it: then the sequence gives the id out again.
                    EXECUTE format('UPDATE %1$s.mq_later l SET id = nextval(''%1$s.mq_publish_id_seq'')
                                     WHERE l.id = $1 AND EXISTS (SELECT FROM %1$s.mq_publish p WHERE p.id = $1) RETURNING l.id', schema_name)
                        INTO other_id USING one.id;
                END IF;
                IF other_id IS NOT NULL THEN
                    problem := format('another message has its id, so it is sent as message %s', other_id);
                ELSE
                    EXECUTE format('UPDATE %s.mq_later l SET send_at = $2 + interval ''1 minute'' WHERE l.id = $1', schema_name)
                        USING one.id, now;
                END IF;
                others := others + (refused IS NOT NULL)::int4;
                refused := coalesce(refused, format('message %s: %s', one.id, problem));
            END;
        END LOOP;
    END;
    PERFORM tpro.let_pass(false);
    refused := refused || CASE WHEN others > 0 THEN format(' (and %s others)', others) ELSE '' END;
    EXECUTE format('SELECT k.send_at FROM %s.mq_later k WHERE k.send_at >= $1 ORDER BY k.send_at LIMIT 1', schema_name)
        INTO next_at USING first;
    upto := coalesce(upto, send_due.after);
    IF next_at <= now AND sent < send_due.at_most THEN
        -- Somebody has it locked, and may let it go; or there was too much for one call.
        upto := CASE WHEN upto IS NULL THEN NULL ELSE least(upto, next_at) END;
        next_in_ms := 100;
    ELSIF isfinite(next_at) THEN
        upto := CASE WHEN upto IS NULL THEN NULL ELSE least(upto, next_at) END;
        next_in_ms := greatest(0, ceil(extract(epoch FROM next_at - clock_timestamp()) * 1000))::bigint;
    END IF;
    RETURN NEXT;
END
$$;
ALTER FUNCTION tpro.send_due(pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.send_due(pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4) IS
    'puts messages whose send_at has come into the outbox, so many at most, from a time on (null: all); how many, the least id, how far, when the next is due, and what was refused; no row from a service of an earlier release; errors as tpro.lead';

CREATE FUNCTION tpro.watch(schema pg_catalog.oid, ids pg_catalog.int8[]) RETURNS void
    AS 'MODULE_PATHNAME', 'watch_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE FUNCTION tpro.unwatch(schema pg_catalog.oid, ids pg_catalog.int8[]) RETURNS void
    AS 'MODULE_PATHNAME', 'unwatch_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE FUNCTION tpro.rest(seconds pg_catalog.float8) RETURNS void
    AS 'MODULE_PATHNAME', 'rest_wrapper' LANGUAGE c VOLATILE STRICT;
CREATE FUNCTION tpro.replied(service pg_catalog.text, ids pg_catalog.int8[]) RETURNS void
    AS 'MODULE_PATHNAME', 'replied_wrapper' LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION tpro.watch(pg_catalog.oid, pg_catalog.int8[]) IS
    'has this transaction be woken from tpro.rest when one of these messages of a service''s schema has a reply; for tpro.wait';
COMMENT ON FUNCTION tpro.unwatch(pg_catalog.oid, pg_catalog.int8[]) IS 'undoes one tpro.watch of the same statement';
COMMENT ON FUNCTION tpro.rest(pg_catalog.float8) IS 'sleeps for so many seconds, 60 at most, or until something wakes this session; 57014 cancelled';
COMMENT ON FUNCTION tpro.replied(pg_catalog.text, pg_catalog.int8[]) IS
    'wakes those who wait for replies of these messages, which are committed; errors as tpro.lead';

CREATE OR REPLACE FUNCTION tpro.wait(id pg_catalog.int8, timeout pg_catalog.int4 DEFAULT 30, sender pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (status pg_catalog.text, result pg_catalog.jsonb, error pg_catalog.jsonb, headers pg_catalog.jsonb,
                   attempts pg_catalog.int4, replied_at pg_catalog.timestamptz, responder pg_catalog.text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.must_see_replies(wait.sender);
    schema_oid oid := schema_name::regnamespace;
    finish timestamptz := clock_timestamp() + make_interval(secs => wait.timeout);
    -- A reply that nobody has told of is seen by looking.
    pause float8 := 0.005;
    own boolean;
    watches boolean := false;
BEGIN
    IF finish IS NULL OR wait.timeout < 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'timeout must be 0 or more seconds';
    END IF;
    LOOP
        -- A new snapshot each time: the function is volatile.
        RETURN QUERY EXECUTE format(
            'SELECT r.status::text, r.result, r.error, r.headers, r.attempts, r.replied_at, r.responder
               FROM %s.mq_reply r WHERE r.mq_id = $1', schema_name) USING wait.id;
        EXIT WHEN FOUND;
        IF own IS NULL THEN
            EXECUTE format('SELECT coalesce(p.tx = pg_current_xact_id_if_assigned(), false)
                              FROM %s.mq_publish p WHERE p.id = $1
                            UNION ALL SELECT coalesce(l.tx = pg_current_xact_id_if_assigned(), false) FROM tpro.later_tx($1, $2) AS l (tx)
                             WHERE l.tx IS NOT NULL LIMIT 1', schema_name) INTO own USING wait.id, schema_name;
            IF own IS NULL THEN
                PERFORM tpro.no_message(wait.id, schema_name);
            ELSIF own THEN
                RAISE active_sql_transaction USING
                    MESSAGE = format('message %s is published by this very transaction, and is sent when it commits', wait.id),
                    HINT = 'COMMIT first, or CALL tpro.request(), which publishes, commits and waits.';
            END IF;
        END IF;
        EXIT WHEN clock_timestamp() >= finish;
        IF watches THEN
            PERFORM tpro.rest(least(pause, extract(epoch FROM finish - clock_timestamp())));
            pause := least(pause * 1.5, 0.5);
        ELSE
            -- It looks once more: a reply that came before this tells nobody.
            PERFORM tpro.watch(schema_oid, ARRAY[wait.id]);
            watches := true;
        END IF;
    END LOOP;
    IF watches THEN
        PERFORM tpro.unwatch(schema_oid, ARRAY[wait.id]);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION tpro.reply(id pg_catalog.int8, sender pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (status pg_catalog.text, result pg_catalog.jsonb, error pg_catalog.jsonb, headers pg_catalog.jsonb,
                   attempts pg_catalog.int4, replied_at pg_catalog.timestamptz, responder pg_catalog.text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(reply.sender)::text;
    published boolean;
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT r.status::text, r.result, r.error, r.headers, r.attempts, r.replied_at, r.responder
           FROM %s.mq_reply r WHERE r.mq_id = $1', schema_name) USING reply.id;
    IF FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT true FROM %s.mq_publish p WHERE p.id = $1 UNION ALL SELECT true WHERE tpro.later_tx($1, $2) IS NOT NULL LIMIT 1', schema_name)
        INTO published USING reply.id, schema_name;
    IF published IS NULL THEN
        PERFORM tpro.no_message(reply.id, schema_name);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION tpro.trace_id(id pg_catalog.int8, sender pg_catalog.text DEFAULT NULL) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(trace_id.sender)::text;
    trace text;
BEGIN
    EXECUTE format('SELECT substr(p.traceparent, 4, 32) FROM %s.mq_publish p WHERE p.id = $1', schema_name)
        INTO trace USING trace_id.id;
    IF trace IS NULL AND to_regclass(schema_name || '.mq_later') IS NOT NULL THEN
        EXECUTE format('SELECT substr(l.traceparent, 4, 32) FROM %s.mq_later l WHERE l.id = $1', schema_name)
            INTO trace USING trace_id.id;
    END IF;
    IF trace IS NULL THEN
        PERFORM tpro.no_message(trace_id.id, schema_name);
    END IF;
    RETURN trace;
END
$$;

-- A reply of each of the messages, or of any of them.
CREATE FUNCTION tpro.wait_for(
    ids pg_catalog.int8[], enough pg_catalog.int4, timeout pg_catalog.int4, sender pg_catalog.text
)
    RETURNS TABLE (id pg_catalog.int8, status pg_catalog.text, result pg_catalog.jsonb, error pg_catalog.jsonb,
                   headers pg_catalog.jsonb, attempts pg_catalog.int4, replied_at pg_catalog.timestamptz, responder pg_catalog.text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.must_see_replies(wait_for.sender);
    schema_oid oid := schema_name::regnamespace;
    finish timestamptz := clock_timestamp() + make_interval(secs => wait_for.timeout);
    pause float8 := 0.005;
    waiting int8[] := wait_for.ids;
    came int4;
    missing record;
    watches boolean := false;
BEGIN
    IF finish IS NULL OR wait_for.timeout < 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'timeout must be 0 or more seconds';
    ELSIF wait_for.ids IS NULL OR array_ndims(wait_for.ids) > 1 OR array_position(wait_for.ids, NULL) IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'ids must be an array of ids, of one dimension and without null';
    END IF;
    LOOP
        -- A new snapshot each time: the function is volatile. Only the rest is looked for.
        EXECUTE format(
            'SELECT array_agg(k.id) FROM unnest($1) AS k (id)
              WHERE NOT EXISTS (SELECT FROM %s.mq_reply r WHERE r.mq_id = k.id)', schema_name) INTO waiting USING waiting;
        came := cardinality(wait_for.ids) - coalesce(cardinality(waiting), 0);
        EXIT WHEN waiting IS NULL OR came >= wait_for.enough;
        IF missing IS NULL THEN
            EXECUTE format(
                'SELECT m.id, m.tx IS NULL AS unknown
                   FROM (SELECT k.id, CASE WHEN p.id IS NULL THEN tpro.later_tx(k.id, $2) ELSE p.tx END AS tx
                           FROM unnest($1) AS k (id) LEFT JOIN %s.mq_publish p ON p.id = k.id) m
                  WHERE m.tx IS NULL OR m.tx = pg_current_xact_id_if_assigned() ORDER BY m.id LIMIT 1', schema_name)
                INTO missing USING waiting, schema_name;
            IF missing.unknown THEN
                PERFORM tpro.no_message(missing.id, schema_name);
            ELSIF NOT missing.unknown THEN
                RAISE active_sql_transaction USING
                    MESSAGE = format('message %s is published by this very transaction, and is sent when it commits', missing.id),
                    HINT = 'COMMIT first, then wait in the next transaction.';
            END IF;
            missing := ROW(0, false);
        END IF;
        EXIT WHEN clock_timestamp() >= finish;
        IF watches THEN
            PERFORM tpro.rest(least(pause, extract(epoch FROM finish - clock_timestamp())));
            -- One who waits for many is woken by every reply, and must not look without a pause.
            IF cardinality(wait_for.ids) > 16 THEN
                PERFORM pg_sleep(0.02);
            END IF;
            pause := least(pause * 1.5, 0.5);
        ELSE
            -- It looks once more: a reply that came before this tells nobody.
            PERFORM tpro.watch(schema_oid, wait_for.ids);
            watches := true;
        END IF;
    END LOOP;
    IF watches THEN
        PERFORM tpro.unwatch(schema_oid, wait_for.ids);
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT r.mq_id::int8, r.status::text, r.result, r.error, r.headers, r.attempts, r.replied_at, r.responder
           FROM (SELECT k.id, min(k.place) AS place FROM unnest($1) WITH ORDINALITY AS k (id, place) GROUP BY k.id) AS k
           JOIN %s.mq_reply r ON r.mq_id = k.id ORDER BY k.place', schema_name) USING wait_for.ids;
END
$$;
COMMENT ON FUNCTION tpro.wait_for(pg_catalog.int8[], pg_catalog.int4, pg_catalog.int4, pg_catalog.text) IS
    'waits until so many of the messages have a reply, and returns the replies there are; for tpro.wait_all and tpro.wait_any';

CREATE FUNCTION tpro.wait_all(ids pg_catalog.int8[], timeout pg_catalog.int4 DEFAULT 30, sender pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (id pg_catalog.int8, status pg_catalog.text, result pg_catalog.jsonb, error pg_catalog.jsonb,
                   headers pg_catalog.jsonb, attempts pg_catalog.int4, replied_at pg_catalog.timestamptz, responder pg_catalog.text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM tpro.wait_for($1, pg_catalog.cardinality($1), $2, $3)
$$;
COMMENT ON FUNCTION tpro.wait_all(pg_catalog.int8[], pg_catalog.int4, pg_catalog.text) IS
    'waits for the replies to all of these messages and returns them in the order of the ids; at the limit (seconds) those that have come; errors as tpro.wait';

CREATE FUNCTION tpro.wait_any(ids pg_catalog.int8[], timeout pg_catalog.int4 DEFAULT 30, sender pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (id pg_catalog.int8, status pg_catalog.text, result pg_catalog.jsonb, error pg_catalog.jsonb,
                   headers pg_catalog.jsonb, attempts pg_catalog.int4, replied_at pg_catalog.timestamptz, responder pg_catalog.text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM tpro.wait_for($1, 1, $2, $3)
$$;
COMMENT ON FUNCTION tpro.wait_any(pg_catalog.int8[], pg_catalog.int4, pg_catalog.text) IS
    'waits until one of these messages has a reply and returns the replies there are; no row at the limit (seconds); errors as tpro.wait';

-- It commits, so that it cannot pin search_path: every name is qualified, and so is every operator.
CREATE PROCEDURE tpro.request(
    service_name tpro.service_name,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    INOUT reply pg_catalog.jsonb DEFAULT NULL
)
    LANGUAGE plpgsql
AS $$
DECLARE
    message pg_catalog.int8;
BEGIN
    PERFORM tpro.must_see_replies(sender);
    message := tpro.publish(service_name, entity, method_name, body, headers, timeout, protocol, reply_to, sender, space_name,
                            NULL, expires_at, priority);
    reply := NULL;
    COMMIT;
    -- By the second, so that no snapshot is held for longer. The dispatcher settles when the budget is spent; the
    -- rest is for a message that has to wait for its turn.
    FOR second IN 1 .. pg_catalog.int4pl(timeout, 15) LOOP
        SELECT pg_catalog.jsonb_build_object('id', message, 'status', w.status, 'result', w.result, 'error', w.error)
          INTO reply
          FROM tpro.wait(message, 1, sender) AS w;
        EXIT WHEN reply IS NOT NULL;
        COMMIT;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE tpro.request(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.jsonb) IS
    'publishes, commits and waits; reply is {"id", "status", "result", "error"}, or null if it is still unsettled 15 seconds after the timeout; 2D000 in a transaction block, else as publish and wait';

-- That of 0.1.0, which services have a right to.
CREATE OR REPLACE PROCEDURE tpro.request(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb DEFAULT '{}',
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    INOUT reply pg_catalog.jsonb DEFAULT NULL
)
    LANGUAGE plpgsql
AS $$
BEGIN
    CALL tpro.request(service_name, entity, method_name, body, headers, timeout, protocol, reply_to, sender, space_name, NULL, 0, reply);
END
$$;

CREATE PROCEDURE tpro.request(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.json,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    INOUT reply pg_catalog.jsonb DEFAULT NULL
)
    LANGUAGE plpgsql
AS $$
BEGIN
    CALL tpro.request(service_name, entity, method_name, body::pg_catalog.jsonb, headers, timeout, protocol, reply_to, sender, space_name,
                      expires_at, priority, reply);
END
$$;
COMMENT ON PROCEDURE tpro.request(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.jsonb) IS
    'the same with a body of type json; 22P02 it is no JSON';

CREATE PROCEDURE tpro.request(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.text,
    headers pg_catalog.jsonb DEFAULT '{}',
    timeout pg_catalog.int4 DEFAULT 15,
    protocol pg_catalog.text DEFAULT 'jsonrpc',
    reply_to pg_catalog.text DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL,
    space_name pg_catalog.text DEFAULT NULL,
    expires_at pg_catalog.timestamptz DEFAULT NULL,
    priority pg_catalog.int4 DEFAULT 0,
    INOUT reply pg_catalog.jsonb DEFAULT NULL
)
    LANGUAGE plpgsql
AS $$
BEGIN
    CALL tpro.request(service_name, entity, method_name, body::pg_catalog.jsonb, headers, timeout, protocol, reply_to, sender, space_name,
                      expires_at, priority, reply);
END
$$;
COMMENT ON PROCEDURE tpro.request(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.jsonb) IS
    'the same with a body of type text; 22P02 it is no JSON';

-- For tpro.depose, which only a superuser may do by itself; nobody is granted this.
CREATE FUNCTION tpro.end_backend(pid pg_catalog.int4, backend_start pg_catalog.timestamptz) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    -- A process number is given out again: end it only if it is still the same backend.
    RETURN coalesce((SELECT pg_terminate_backend(a.pid)
                       FROM pg_stat_activity a
                      WHERE a.pid = end_backend.pid AND a.backend_start = end_backend.backend_start), false);
END
$$;
COMMENT ON FUNCTION tpro.end_backend(pg_catalog.int4, pg_catalog.timestamptz) IS
    'ends the backend with this number that began at this moment; false if there is none';

-- SECURITY DEFINER: only a superuser sees the state of another role's backend and may end it.
CREATE OR REPLACE FUNCTION tpro.depose(service pg_catalog.text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- More than twice the leader's heartbeat, which is a statement in 5 seconds.
    silence CONSTANT interval := '12 seconds';
    leader record;
BEGIN
    PERFORM tpro.must_serve(depose.service);
    PERFORM pg_stat_clear_snapshot();
    SELECT a.pid, a.backend_start INTO leader
      FROM pg_stat_activity a
      JOIN tpro.locks l ON l.pid = a.pid
     WHERE l.schema_oid = tpro.sender_schema(depose.service)::oid AND l.lock = 'leader'
       -- Whatever it does: idle it has lost its client, or that stands still; and in a statement that has lasted so long
       -- its client has given it up (it does after 10 seconds), or the backend itself stands still. Not so when its COMMIT waits
       -- for a synchronous standby: whoever led in its place would wait for the same.
       AND a.wait_event IS DISTINCT FROM 'SyncRep'
       AND a.state_change < clock_timestamp() - silence
       AND a.backend_start < clock_timestamp() - silence;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    RETURN tpro.end_backend(leader.pid, leader.backend_start);
END
$$;
COMMENT ON FUNCTION tpro.depose(pg_catalog.text) IS
    'ends the session of a leader that has been silent for more than 12 seconds and waits for no synchronous standby; whether there was one; errors as tpro.lead';

-- ---------------------------------------------------------------------------------------------------------------------
-- The keys of services: what only a service's own copies can sign. They belong to the data, as the inbox does, so they are
-- dumped and restored with it, and tpro.adopt() leaves them as they are.
-- ---------------------------------------------------------------------------------------------------------------------
CREATE TABLE tpro.service_key (
    service pg_catalog.text PRIMARY KEY,
    -- Three uuids have 366 random bits from the server's strong source, more than the digest holds.
    key pg_catalog.bytea NOT NULL DEFAULT pg_catalog.sha256(pg_catalog.decode(pg_catalog.replace(pg_catalog.concat(
        pg_catalog.gen_random_uuid(), pg_catalog.gen_random_uuid(), pg_catalog.gen_random_uuid()), '-', ''), 'hex')),
    made_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE tpro.service_key IS 'the secret of each service, by which tpro.sign() signs for its copies; dumped and restored with the messages';
COMMENT ON COLUMN tpro.service_key.service IS 'the service';
COMMENT ON COLUMN tpro.service_key.key IS 'its secret, 32 bytes';
COMMENT ON COLUMN tpro.service_key.made_at IS 'when it was made';

-- A restore may find a key that create_service() has made meanwhile; the dumped one belongs to the dumped messages.
CREATE FUNCTION tpro.replace_service_key() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM tpro.service_key k WHERE k.service = NEW.service;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tpro.replace_service_key() IS 'trigger of tpro.service_key: a key that is loaded takes the place of the one that is there';

CREATE TRIGGER replace_service_key BEFORE INSERT ON tpro.service_key
    FOR EACH ROW EXECUTE FUNCTION tpro.replace_service_key();
COMMENT ON TRIGGER replace_service_key ON tpro.service_key IS 'keeps one key of a service when a dump is restored';
SELECT pg_catalog.pg_extension_config_dump('tpro.service_key', '');

-- RFC 2104 over PostgreSQL's own sha256(): a copy asks for two signatures at its start and for none later.
CREATE FUNCTION tpro.hmac_sha256(key pg_catalog.bytea, message pg_catalog.bytea) RETURNS pg_catalog.bytea
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    short bytea := CASE WHEN octet_length(hmac_sha256.key) > 64 THEN sha256(hmac_sha256.key) ELSE hmac_sha256.key END;
    inside bytea := decode(repeat('36', 64), 'hex');
    outside bytea := decode(repeat('5c', 64), 'hex');
BEGIN
    FOR i IN 0 .. octet_length(short) - 1 LOOP
        inside := set_byte(inside, i, get_byte(inside, i) # get_byte(short, i));
        outside := set_byte(outside, i, get_byte(outside, i) # get_byte(short, i));
    END LOOP;
    RETURN sha256(outside || sha256(inside || hmac_sha256.message));
END
$$;
COMMENT ON FUNCTION tpro.hmac_sha256(pg_catalog.bytea, pg_catalog.bytea) IS 'HMAC-SHA256 of RFC 2104 and RFC 4231, 32 bytes';

-- SECURITY DEFINER: the key itself is read by nobody.
CREATE FUNCTION tpro.sign(service pg_catalog.text, message pg_catalog.bytea) RETURNS pg_catalog.bytea
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    secret bytea;
BEGIN
    PERFORM tpro.must_serve(sign.service);
    SELECT k.key INTO secret FROM tpro.service_key k WHERE k.service = sign.service;
    IF NOT FOUND THEN
        -- A service that was made before there were keys. Of two who come at once the second finds the key of the first.
        LOCK TABLE tpro.service_key IN SHARE ROW EXCLUSIVE MODE;
        SELECT k.key INTO secret FROM tpro.service_key k WHERE k.service = sign.service;
        IF NOT FOUND THEN
            INSERT INTO tpro.service_key AS k (service) VALUES (sign.service) RETURNING k.key INTO secret;
        END IF;
    END IF;
    RETURN tpro.hmac_sha256(secret, sign.message);
END
$$;
ALTER FUNCTION tpro.sign(pg_catalog.text, pg_catalog.bytea) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.sign(pg_catalog.text, pg_catalog.bytea) IS
    'HMAC-SHA256 of a message under the key of the service, which is made if there is none; errors as tpro.lead';

-- ---------------------------------------------------------------------------------------------------------------------
-- Services
-- ---------------------------------------------------------------------------------------------------------------------
CREATE FUNCTION tpro.must_be_name(name pg_catalog.text) RETURNS void
    AS 'MODULE_PATHNAME', 'must_be_name_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tpro.must_be_name(pg_catalog.text) IS
    'whether a service may have this name, and its login with it; 42602 bad name, 42939 reserved';
COMMENT ON FUNCTION tpro.create_service(pg_catalog.text) IS
    'makes schema <name>_service with the tables of a service, and its roles; 42P06 exists, 42602 bad name, 42939 reserved, 55000 the extension is to be updated first';

-- A service is a schema with an outbox that is tpro_owner's or has the bell: nothing to keep in step beside the catalogue. One
-- without its bell is a service all the same, or nobody would say what it lacks.
CREATE OR REPLACE VIEW tpro.service_schemas AS
    SELECT pg_catalog.left(n.nspname::pg_catalog.text, -8) AS name, n.oid AS schema_oid, n.nspname AS schema_name
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
     WHERE c.relname OPERATOR(pg_catalog.=) 'mq_publish' AND c.relkind OPERATOR(pg_catalog.=) 'p'
       AND n.nspname OPERATOR(pg_catalog.~) '_service$'
       AND (pg_catalog.pg_get_userbyid(n.nspowner) OPERATOR(pg_catalog.=) 'tpro_owner'
            OR EXISTS (SELECT FROM pg_catalog.pg_trigger t
                        WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid
                          AND t.tgfoid OPERATOR(pg_catalog.=) 'tpro.bell()'::pg_catalog.regprocedure));

-- What reads or writes a service's tables with its owner's rights belongs to tpro_owner and not to a superuser: nobody else
-- can alter these tables, and should somebody have done so all the same, it is not with a superuser's rights.
-- row_security = off, here and below: rows that a policy hides are an error then, and not passed over.
CREATE OR REPLACE FUNCTION tpro.has_unsettled(schema_name pg_catalog.text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
    unsettled boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.mq_publish p
                                    WHERE NOT EXISTS (SELECT FROM %1$I.mq_reply r WHERE r.mq_id = p.id))',
                   has_unsettled.schema_name) INTO unsettled;
    RETURN unsettled OR tpro.has_later(quote_ident(has_unsettled.schema_name), 0, 9223372036854775807);
END
$$;

-- DROP EXTENSION ... CASCADE takes the outbox and the domains with it, and leaves the schema with the rest of the tables.
CREATE FUNCTION tpro.is_left_over(service pg_catalog.text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_namespace n
                    WHERE n.nspname = is_left_over.service || '_service' AND pg_get_userbyid(n.nspowner) = 'tpro_owner'
                      AND obj_description(n.oid, 'pg_namespace') LIKE 'tpro: %'
                      AND NOT EXISTS (SELECT FROM tpro.service_schemas s WHERE s.schema_oid = n.oid))
$$;
COMMENT ON FUNCTION tpro.is_left_over(pg_catalog.text) IS
    'whether the schema of that name is what DROP EXTENSION ... CASCADE has left of a service';

-- SECURITY DEFINER, as create_service. It drops only what that has made.
CREATE OR REPLACE FUNCTION tpro.drop_service(name pg_catalog.text, force pg_catalog.bool DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := quote_ident(drop_service.name || '_service');
    patience text := current_setting('lock_timeout');
    unsettled boolean;
    role record;
    routine regprocedure;
BEGIN
    IF NOT EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = drop_service.name) THEN
        IF NOT tpro.is_left_over(drop_service.name) THEN
            -- Raises what there is to say of the name.
            PERFORM tpro.sender_schema(drop_service.name);
            RAISE invalid_schema_name USING MESSAGE = format('schema %s is not that of a service', schema_name);
        END IF;
        -- Its outbox went with the extension: there is nothing that could be unsettled.
    ELSIF NOT force THEN
        IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
            RAISE active_sql_transaction USING
                MESSAGE = 'what is committed meanwhile cannot be seen in this transaction',
                HINT = 'Drop a service in a transaction of isolation level READ COMMITTED.';
        END IF;
        unsettled := tpro.has_unsettled(schema_name);
        IF NOT unsettled THEN
            -- From here on nobody publishes, so that the second look sees all there is. Nobody waits behind us for long.
            BEGIN
                PERFORM set_config('lock_timeout', '50ms', true);
                EXECUTE format(CASE WHEN to_regclass(schema_name || '.mq_later') IS NULL THEN 'LOCK TABLE %1$s.mq_publish IN SHARE ROW EXCLUSIVE MODE'
                                    ELSE 'LOCK TABLE %1$s.mq_publish, %1$s.mq_later IN SHARE ROW EXCLUSIVE MODE' END, schema_name);
                PERFORM set_config('lock_timeout', patience, true);
            EXCEPTION WHEN lock_not_available THEN
                RAISE object_in_use USING
                    MESSAGE = format('service %s is in use: somebody publishes in a transaction that is open', drop_service.name),
                    HINT = 'End that transaction, or try again; force => true waits for it.';
            END;
            unsettled := tpro.has_unsettled(schema_name);
        END IF;
        IF unsettled THEN
            RAISE object_in_use USING
                MESSAGE = format('service %s has messages that are not settled', drop_service.name),
                HINT = format('Let its sidecar settle them (see %s.mq_status), or pass force => true.', schema_name);
        END IF;
    END IF;
    EXECUTE format('DROP SCHEMA %s CASCADE', schema_name);
    -- A service that is made again under this name is another one.
    DELETE FROM tpro.service_key k WHERE k.service = drop_service.name;
    DELETE FROM tpro.known_copy c WHERE c.service_name = drop_service.name AND c.trusted;
    FOR role IN SELECT r.rolname, shobj_description(r.oid, 'pg_authid') LIKE 'tpro: %' AS ours FROM pg_roles r
                 WHERE r.rolname IN (drop_service.name || '_publisher', drop_service.name || '_sidecar',
                                     drop_service.name || '_maintainer') LOOP
        -- What the template granted outside of the schema.
        FOR routine IN SELECT p.oid FROM pg_proc p
                        WHERE p.pronamespace = 'tpro'::regnamespace AND p.proacl IS NOT NULL
                          AND EXISTS (SELECT FROM aclexplode(p.proacl) a
                                        JOIN pg_roles r ON r.oid = a.grantee AND r.rolname = role.rolname) LOOP
            EXECUTE format('REVOKE ALL ON ROUTINE %s FROM %I', routine, role.rolname);
        END LOOP;
        -- A role of that name that somebody else has made is not ours to drop.
        CONTINUE WHEN role.ours IS NOT TRUE;
        BEGIN
            EXECUTE format('DROP ROLE %I', role.rolname);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            RAISE NOTICE 'role % stays: it is used elsewhere', role.rolname;
        END;
    END LOOP;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Services that an earlier release has made, or a dump of one. sql/released/ has the templates they come from.
-- ---------------------------------------------------------------------------------------------------------------------
-- In 0.1.0 the login of a service could become <service>_maintainer, who owned the partitioned tables. What was put on them
-- runs with the rights of whoever uses the table, or of its owner: tpro_owner takes no such table over.
-- It reads catalogues only. An expression is ours when it calls no function but those of the templates: what PostgreSQL
-- shows with this search_path has a lower-case letter before the parenthesis of a call, and a dot in each foreign name. (No backslash
-- is in it: what that means in a string is a setting of the caller's.)
CREATE FUNCTION tpro.foreign_code(service pg_catalog.text) RETURNS SETOF pg_catalog.text
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
    schema_oid CONSTANT oid := tpro.sender_schema(foreign_code.service)::oid;
    ours CONSTANT text := 'nextval[(]''[a-z0-9_.]+''::regclass[)]|pg_current_xact_id[(]|clock_timestamp[(]|::tpro[.][a-z_]+'
        '|tpro[.](uuid7|space|new_traceparent|new_tracestate|check_[a-z_]+)[(]';
    foreign_call CONSTANT text := '[a-z0-9_"][(]|[.]';
    our_table CONSTANT text := '^mq_(publish|reply|receive|outcome)(_p[0-9]+_[0-9]+|_rest|_next|_id_seq)?$';
BEGIN
    RETURN QUERY
    WITH tables AS (
        SELECT c.* FROM pg_class c
         WHERE c.relnamespace = schema_oid AND c.relkind IN ('r', 'p', 'f', 'm') AND starts_with(c.relname, 'mq_')
    )
    SELECT format('foreign table %s', t.relname) FROM tables t WHERE t.relkind = 'f'
    UNION ALL
    SELECT format('row-level security of %s', t.relname) FROM tables t WHERE t.relrowsecurity OR t.relforcerowsecurity
    UNION ALL
    SELECT format('policy %s of %s', p.polname, t.relname) FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
    UNION ALL
    SELECT format('rule %s of %s', r.rulename, t.relname) FROM tables t JOIN pg_rewrite r ON r.ev_class = t.oid
     WHERE t.relkind <> 'm'
    UNION ALL
    SELECT format('trigger %s of %s: %s', g.tgname, t.relname, g.tgfoid::regprocedure)
      FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid JOIN pg_proc p ON p.oid = g.tgfoid
     WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND p.pronamespace <> 'tpro'::regnamespace
    UNION ALL
    SELECT format('default of %s.%s: %s', t.relname, a.attname, e.text)
      FROM tables t JOIN pg_attrdef d ON d.adrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum,
           pg_get_expr(d.adbin, d.adrelid) AS e(text)
     WHERE regexp_replace(e.text, ours, '', 'g') ~ foreign_call
       -- That of the partitioned table says it for its partitions.
       AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_attribute b ON b.attrelid = i.inhparent AND b.attname = a.attname
                         JOIN pg_attrdef f ON f.adrelid = b.attrelid AND f.adnum = b.attnum
                        WHERE i.inhrelid = t.oid AND pg_get_expr(f.adbin, f.adrelid) = e.text)
    UNION ALL
    SELECT format('type of %s.%s: %s', t.relname, a.attname, a.atttypid::regtype)
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type y ON y.oid = a.atttypid
     WHERE y.typnamespace NOT IN ('pg_catalog'::regnamespace, 'tpro'::regnamespace)
    UNION ALL
    SELECT format('constraint %s of %s: %s', k.conname, t.relname, e.text)
      FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid, pg_get_constraintdef(k.oid) AS e(text)
     WHERE k.contype IN ('c', 'x') AND k.conislocal AND regexp_replace(e.text, ours, '', 'g') ~ foreign_call
    UNION ALL
    SELECT format('index %s of %s: %s', x.indexrelid::regclass, t.relname, e.text)
      FROM tables t JOIN pg_index x ON x.indrelid = t.oid,
           concat_ws(', ', pg_get_expr(x.indexprs, t.oid), pg_get_expr(x.indpred, t.oid)) AS e(text)
     WHERE e.text ~ foreign_call AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)
    UNION ALL
    SELECT format('statistics %s of %s', s.stxname, t.relname) FROM tables t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
     -- From PostgreSQL 14 on.
     WHERE to_jsonb(s) ->> 'stxexprs' IS NOT NULL
    UNION ALL
    -- What else the maintainer, or a login of the service, has made.
    SELECT format('%s, which belongs to %s', pg_describe_object(d.classid, d.objid, d.objsubid), r.rolname)
      FROM pg_shdepend d
      JOIN pg_roles r ON r.oid = d.refobjid
     WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND NOT r.rolsuper
       AND d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
       AND NOT EXISTS (SELECT FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
                          AND c.relnamespace = schema_oid AND c.relkind IN ('r', 'p', 'S') AND c.relname ~ our_table)
       AND (r.rolname = foreign_code.service || '_maintainer'
            OR (SELECT i.schema FROM pg_identify_object(d.classid, d.objid, d.objsubid) i) = foreign_code.service || '_service'
               AND EXISTS (SELECT FROM pg_roles g WHERE g.rolname = foreign_code.service || '_sidecar'
                              AND pg_has_role(r.oid, g.oid, 'MEMBER')));
END
$$;
COMMENT ON FUNCTION tpro.foreign_code(pg_catalog.text) IS
    'what in a service''s schema runs code that is not of tpro, or belongs to a login of the service, a line each; 3F000 unknown';

-- The changes that bring a service to this release, and what each is for. Step 0 locks no table; 1 to 3 are of one table, or of a
-- partitioned one and its partitions; 4 comes when those are done, and 5 when no database of the cluster needs the role of the earlier release.
CREATE FUNCTION tpro.outdated(service pg_catalog.text)
    RETURNS TABLE (what pg_catalog.text, relation pg_catalog.text, step pg_catalog.int4, statement pg_catalog.text)
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(outdated.service)::text;
    schema_oid CONSTANT oid := schema_name::regnamespace::oid;
    maintainer CONSTANT text := outdated.service || '_maintainer';
    sidecar CONSTANT text := outdated.service || '_sidecar';
BEGIN
    RETURN QUERY
    SELECT format('%s may not call %s', sidecar, f), '', 0, format('GRANT EXECUTE ON FUNCTION %s TO %I', f, sidecar)
      FROM unnest(ARRAY['tpro.sign(text, bytea)', 'tpro.partitions(text)', 'tpro.partition_words(text, bigint, bigint)',
               'tpro.partition_label(text, bigint)', 'tpro.partition_key(text)', 'tpro.next_key(text, text)',
               'tpro.partition_kept(text, text, regclass, bigint, bigint, bigint, boolean)',
               'tpro.mend_partitions(text, text, bigint)', 'tpro.make_partitions(text, text, bigint)',
               'tpro.drop_partition(text, oid, bigint)', 'tpro.drop_dedup_keys(text, integer)', 'tpro.end_holds(text, bigint[])',
               'tpro.serves(text, text, text, text, jsonb)', 'tpro.serves_no_more(text, text, text)', 'tpro.hears(text)',
               'tpro.heard(text, jsonb)',
               'tpro.replied(text, bigint[])', 'tpro.send_due(text, timestamptz, integer)']::regprocedure[]) f
     WHERE NOT has_function_privilege(sidecar, f, 'EXECUTE')
    UNION ALL
    SELECT format('schema %s belongs to %s', schema_name, n.nspowner::regrole), '', 0,
           format('ALTER SCHEMA %s OWNER TO tpro_owner', schema_name)
      FROM pg_namespace n WHERE n.oid = schema_oid AND n.nspowner <> 'tpro_owner'::regrole
    UNION ALL
    -- In 0.1.0 the partitioned tables are the maintainer's. A dump that is restored without owners makes all of them its restorer's.
    SELECT format('%s, or a partition of it, belongs to %s', t.parent, t.owner), t.parent, 2,
           format('ALTER TABLE %s.%I OWNER TO tpro_owner', schema_name, t.relname)
      FROM (SELECT c.relname, substring(c.relname FROM '^mq_(?:reply_fault|[a-z]+)') AS parent, c.relowner::regrole AS owner FROM pg_class c
             WHERE c.relnamespace = schema_oid AND c.relkind IN ('r', 'p', 'v') AND starts_with(c.relname, 'mq_')
               AND c.relowner <> 'tpro_owner'::regrole
             ORDER BY c.relkind = 'r', c.relname) t
    UNION ALL
    SELECT 'mq_publish has no trigger bell for each row', 'mq_publish', 3, format(
        '%2$s
         CREATE TRIGGER bell BEFORE INSERT ON %1$s.mq_publish FOR EACH ROW EXECUTE FUNCTION tpro.bell();
         COMMENT ON TRIGGER bell ON %1$s.mq_publish IS ''refuses what may not be sent, and wakes a sleeping dispatcher at the commit''', schema_name,
           (SELECT string_agg(format('DROP TRIGGER %I ON %s.mq_publish;', g.tgname, schema_name), ' ') FROM pg_trigger g
             WHERE g.tgrelid = to_regclass(format('%s.mq_publish', schema_name)) AND g.tgfoid = 'tpro.bell()'::regprocedure))
     -- BEFORE INSERT FOR EACH ROW.
     WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = to_regclass(format('%s.mq_publish', schema_name))
                          AND g.tgfoid = 'tpro.bell()'::regprocedure AND g.tgtype = 7)
    UNION ALL
    SELECT 'the comment of mq_publish.reply_to is of a release without it', 'mq_publish', 3, format(
        'COMMENT ON COLUMN %1$s.mq_publish.reply_to IS
             ''label to which the sidecar publishes the bare reply as well, behind its setting REPLY_TO_PREFIX; null: to none''', schema_name)
     WHERE col_description(to_regclass(format('%s.mq_publish', schema_name)),
                           (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_publish', schema_name))
                               AND a.attname = 'reply_to')) = 'for a later release'
    UNION ALL
    SELECT 'mq_publish has no column priority', 'mq_publish', 3, format(
        'ALTER TABLE %1$s.mq_publish ADD COLUMN priority integer DEFAULT 0;
         COMMENT ON COLUMN %1$s.mq_publish.priority IS
             ''0 to 3: shares of what waits for one service; 3 has the largest, 0 the smallest'';
         GRANT INSERT (priority) ON %1$s.mq_publish TO %2$I, %3$I', schema_name, outdated.service || '_publisher', sidecar)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_publish', schema_name))
                          AND a.attname = 'priority' AND NOT a.attisdropped)
    UNION ALL
    -- Without the column, maintenance could not attach it again.
    SELECT format('%s, which is detached, has no column priority', c.relname), c.relname::text, 3, format(
        'ALTER TABLE %1$s.%2$I ADD COLUMN priority integer DEFAULT 0', schema_name, c.relname)
      FROM pg_class c
     WHERE c.relnamespace = schema_oid AND c.relkind = 'r' AND NOT c.relispartition AND c.relname ~ '^mq_publish_(p[0-9]+_[0-9]+|rest)$'
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'priority' AND NOT a.attisdropped)
    UNION ALL
    SELECT 'mq_publish has no columns ordering_key, on_reply and retry_of', 'mq_publish', 3, format(
        'ALTER TABLE %1$s.mq_publish ADD COLUMN ordering_key text DEFAULT NULL, ADD COLUMN on_reply text DEFAULT NULL,
                                     ADD COLUMN retry_of bigint DEFAULT NULL;
         COMMENT ON COLUMN %1$s.mq_publish.ordering_key IS
             ''messages to one service with one key are sent one after the other; null: in no order'';
         COMMENT ON COLUMN %1$s.mq_publish.on_reply IS
             ''the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one'';
         COMMENT ON COLUMN %1$s.mq_publish.retry_of IS ''id of the message that this one repeats; null: of none'';
         GRANT INSERT (ordering_key) ON %1$s.mq_publish TO %2$I;
         GRANT INSERT (ordering_key, on_reply) ON %1$s.mq_publish TO %3$I', schema_name, outdated.service || '_publisher', sidecar)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_publish', schema_name))
                          AND a.attname = 'retry_of' AND NOT a.attisdropped)
    UNION ALL
    SELECT format('%s, which is detached, has no columns ordering_key, on_reply and retry_of', c.relname), c.relname::text, 3, format(
        'ALTER TABLE %1$s.%2$I ADD COLUMN ordering_key text DEFAULT NULL, ADD COLUMN on_reply text DEFAULT NULL,
                               ADD COLUMN retry_of bigint DEFAULT NULL', schema_name, c.relname)
      FROM pg_class c
     WHERE c.relnamespace = schema_oid AND c.relkind = 'r' AND NOT c.relispartition AND c.relname ~ '^mq_publish_(p[0-9]+_[0-9]+|rest)$'
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'retry_of' AND NOT a.attisdropped)
    UNION ALL
    -- So that the transaction has its number before the id is drawn, as sql/service.sql says.
    SELECT format('ids of %s are drawn by transactions without a number', t.table_name), t.table_name, 3, format(
        'ALTER TABLE %1$s.%2$I ALTER id SET DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval(''%1$s.mq_publish_id_seq'') END',
        schema_name, t.table_name)
      FROM unnest(ARRAY['mq_publish', 'mq_later']) AS t (table_name)
      JOIN pg_attribute a ON a.attrelid = to_regclass(format('%s.%I', schema_name, t.table_name)) AND a.attname = 'id'
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE coalesce(pg_get_expr(d.adbin, d.adrelid), '') !~ 'pg_current_xact_id'
    UNION ALL
    SELECT 'mq_receive has no column proof', 'mq_receive', 3, format(
        'ALTER TABLE %1$s.mq_receive ADD COLUMN proof text;
         COMMENT ON COLUMN %1$s.mq_receive.proof IS
             ''what a repeat must prove: k:<its Tpro-Key>, or d:<digest of its params> of a stranger; null: not known''', schema_name)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_receive', schema_name))
                          AND a.attname = 'proof' AND NOT a.attisdropped)
    UNION ALL
    SELECT 'the comment of mq_receive.copy_key is of a release that puts nothing off', 'mq_receive', 3, format(
        'COMMENT ON COLUMN %1$s.mq_receive.copy_key IS
             ''the copy that runs it, as it says in tpro.present(); 0: no run, its handler has put off the one before''', schema_name)
     WHERE col_description(to_regclass(format('%s.mq_receive', schema_name)),
                           (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_receive', schema_name))
                               AND a.attname = 'copy_key')) = 'the copy that runs it, as it says in tpro.present()'
    UNION ALL
    SELECT 'mq_status goes by the clock, or does not show what is sent later or repeated', 'mq_status', 3, format(
        'CREATE OR REPLACE VIEW %1$s.mq_status AS
             SELECT p.id,
                    p.created_at,
                    p.space_name || ''.'' || p.service_name || ''.'' || p.entity || ''.'' || p.method_name AS target,
                    coalesce(r.status, CASE WHEN p.send_at IS NULL THEN ''waiting'' ELSE ''later'' END) AS status,
                    statement_timestamp() - p.created_at AS age,
                    r.attempts,
                    r.result,
                    r.error,
                    substr(p.traceparent, 4, 32) AS trace_id,
                    p.uid,
                    r.responder,
                    r.sent_at,
                    p.send_at,
                    p.retry_of,
                    p.ordering_key
               FROM (SELECT o.id, o.uid::uuid AS uid, o.created_at, o.space_name, o.service_name, o.entity, o.method_name, o.traceparent,
                            NULL::timestamptz AS send_at, o.retry_of, o.ordering_key
                       FROM %1$s.mq_publish o
                     UNION ALL
                     SELECT l.id, NULL::uuid AS uid, l.created_at, l.space_name, l.service_name, l.entity, l.method_name, l.traceparent, l.send_at,
                            l.retry_of, l.ordering_key
                       FROM %1$s.mq_later l) p
               LEFT JOIN %1$s.mq_reply r ON r.mq_id = p.id;
         COMMENT ON COLUMN %1$s.mq_status.status IS
             ''later until it is sent, waiting until it is settled, then the status of the reply'';
         COMMENT ON COLUMN %1$s.mq_status.age IS ''time from its publish to the begin of the statement that asks'';
         COMMENT ON COLUMN %1$s.mq_status.uid IS ''its identity everywhere; null until it is sent'';
         COMMENT ON COLUMN %1$s.mq_status.responder IS ''who answered: service/version/copy'';
         COMMENT ON COLUMN %1$s.mq_status.sent_at IS ''when it was sent first'';
         COMMENT ON COLUMN %1$s.mq_status.send_at IS ''when it is to be sent; null as soon as it is in the outbox'';
         COMMENT ON COLUMN %1$s.mq_status.retry_of IS ''id of the message that this one repeats; null: of none'';
         COMMENT ON COLUMN %1$s.mq_status.ordering_key IS
             ''messages to one service with one key are sent one after the other; null: in no order'';
         GRANT SELECT (uid, responder, sent_at, send_at, retry_of, ordering_key) ON %1$s.mq_status TO tpro_reader, tpro_operator', schema_name)
     WHERE pg_get_viewdef(to_regclass(format('%s.mq_status', schema_name))) ~ 'clock_timestamp'
        OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_status', schema_name))
                          AND a.attname = 'ordering_key' AND NOT a.attisdropped)
    UNION ALL
    SELECT 'there is no view mq_send, or it has no column on_reply', '', 4, format(
        'CREATE OR REPLACE VIEW %1$s.mq_send AS
             SELECT p.id, p.protocol, p.space_name, p.service_name, p.entity, p.method_name, p.timeout,
                    p.headers, p.body, p.created_at, p.reply_to, p.expires_at, p.traceparent, p.tracestate, p.priority,
                    p.ordering_key, p.on_reply
               FROM %1$s.mq_publish p
              WHERE false;
         ALTER VIEW %1$s.mq_send OWNER TO tpro_owner;
         COMMENT ON VIEW %1$s.mq_send IS ''publishes what is inserted, and returns it by RETURNING *; shows nothing'';
         COMMENT ON COLUMN %1$s.mq_send.id IS ''number of the message, as it was given'';
         COMMENT ON COLUMN %1$s.mq_send.protocol IS ''jsonrpc or json'';
         COMMENT ON COLUMN %1$s.mq_send.space_name IS ''first token of the subject'';
         COMMENT ON COLUMN %1$s.mq_send.service_name IS ''second token: the service that answers'';
         COMMENT ON COLUMN %1$s.mq_send.entity IS ''third token'';
         COMMENT ON COLUMN %1$s.mq_send.method_name IS ''fourth token'';
         COMMENT ON COLUMN %1$s.mq_send.timeout IS ''seconds to wait for the reply; 0: an event'';
         COMMENT ON COLUMN %1$s.mq_send.headers IS ''what travels beside the body'';
         COMMENT ON COLUMN %1$s.mq_send.body IS ''what is sent'';
         COMMENT ON COLUMN %1$s.mq_send.created_at IS ''when it is published'';
         COMMENT ON COLUMN %1$s.mq_send.reply_to IS ''label to which the sidecar publishes the bare reply as well'';
         COMMENT ON COLUMN %1$s.mq_send.expires_at IS ''after which it is no longer worth sending'';
         COMMENT ON COLUMN %1$s.mq_send.traceparent IS ''the span of publishing'';
         COMMENT ON COLUMN %1$s.mq_send.tracestate IS ''names the parent of that span'';
         COMMENT ON COLUMN %1$s.mq_send.priority IS ''0 to 3: shares of what waits for one service'';
         COMMENT ON COLUMN %1$s.mq_send.ordering_key IS
             ''messages to one service with one key are sent one after the other; null: in no order'';
         COMMENT ON COLUMN %1$s.mq_send.on_reply IS
             ''the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one'';
         GRANT INSERT (protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to, expires_at,
                       traceparent, tracestate, priority, ordering_key), SELECT ON %1$s.mq_send TO %2$I;
         GRANT INSERT (on_reply) ON %1$s.mq_send TO %3$I', schema_name, outdated.service || '_publisher', sidecar)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_send', schema_name))
                          AND a.attname = 'on_reply' AND NOT a.attisdropped)
    UNION ALL
    SELECT 'there is no view mq_once, or it has no column on_reply', '', 4, format(
        'CREATE TABLE IF NOT EXISTS %1$s.mq_dedup (
             dedup_key text COLLATE "C" PRIMARY KEY,
             mq_id bigint NOT NULL,
             until timestamptz NOT NULL
         );
         CREATE INDEX IF NOT EXISTS mq_dedup_until ON %1$s.mq_dedup (until);
         COMMENT ON TABLE %1$s.mq_dedup IS ''the keys that messages were published under once, for as long as they hold'';
         COMMENT ON COLUMN %1$s.mq_dedup.dedup_key IS ''the key, as its publisher gave it'';
         COMMENT ON COLUMN %1$s.mq_dedup.mq_id IS ''mq_publish.id of the first message under it, which may be gone by now'';
         COMMENT ON COLUMN %1$s.mq_dedup.until IS ''after which the key is free; maintenance drops the row'';
         COMMENT ON INDEX %1$s.mq_dedup_until IS ''what maintenance drops by'';

         CREATE OR REPLACE VIEW %1$s.mq_once AS
             SELECT NULL::bigint AS id, NULL::boolean AS created, NULL::text AS dedup_key, NULL::interval AS dedup_for,
                    p.protocol, p.space_name, p.service_name, p.entity, p.method_name, p.timeout,
                    p.headers, p.body, p.created_at, p.reply_to, p.expires_at, p.traceparent, p.tracestate, p.priority, NULL::timestamptz AS send_at,
                    p.ordering_key, p.on_reply
               FROM %1$s.mq_publish p
              WHERE false;
         ALTER VIEW %1$s.mq_once ALTER dedup_for SET DEFAULT ''1 day'';
         ALTER VIEW %1$s.mq_once ALTER protocol SET DEFAULT ''jsonrpc'';
         ALTER VIEW %1$s.mq_once ALTER space_name SET DEFAULT tpro.space();
         ALTER VIEW %1$s.mq_once ALTER timeout SET DEFAULT 15;
         ALTER VIEW %1$s.mq_once ALTER headers SET DEFAULT ''{}'';
         ALTER VIEW %1$s.mq_once ALTER body SET DEFAULT ''{}'';
         ALTER VIEW %1$s.mq_once ALTER created_at SET DEFAULT clock_timestamp();
         ALTER VIEW %1$s.mq_once ALTER traceparent SET DEFAULT tpro.new_traceparent();
         ALTER VIEW %1$s.mq_once ALTER tracestate SET DEFAULT tpro.new_tracestate();
         ALTER VIEW %1$s.mq_once ALTER priority SET DEFAULT 0;
         CREATE OR REPLACE TRIGGER once INSTEAD OF INSERT ON %1$s.mq_once FOR EACH ROW EXECUTE FUNCTION tpro.once();
         COMMENT ON TRIGGER once ON %1$s.mq_once IS ''publishes if the key is free'';
         COMMENT ON VIEW %1$s.mq_once IS ''publishes what is inserted unless its key is held, and returns the id that has the key; shows nothing'';
         COMMENT ON COLUMN %1$s.mq_once.id IS ''number of the first message under this key'';
         COMMENT ON COLUMN %1$s.mq_once.created IS ''whether this row is that message; else it was published before'';
         COMMENT ON COLUMN %1$s.mq_once.dedup_key IS ''names the effect that must not come twice: 1 to 200 bytes'';
         COMMENT ON COLUMN %1$s.mq_once.dedup_for IS ''how long the key is held from its first message on: up to 30 days'';
         COMMENT ON COLUMN %1$s.mq_once.protocol IS ''jsonrpc or json'';
         COMMENT ON COLUMN %1$s.mq_once.space_name IS ''first token of the subject'';
         COMMENT ON COLUMN %1$s.mq_once.service_name IS ''second token: the service that answers'';
         COMMENT ON COLUMN %1$s.mq_once.entity IS ''third token'';
         COMMENT ON COLUMN %1$s.mq_once.method_name IS ''fourth token'';
         COMMENT ON COLUMN %1$s.mq_once.timeout IS ''seconds to wait for the reply; 0: an event'';
         COMMENT ON COLUMN %1$s.mq_once.headers IS ''what travels beside the body'';
         COMMENT ON COLUMN %1$s.mq_once.body IS ''what is sent'';
         COMMENT ON COLUMN %1$s.mq_once.created_at IS ''when it is published'';
         COMMENT ON COLUMN %1$s.mq_once.reply_to IS ''label to which the sidecar publishes the bare reply as well'';
         COMMENT ON COLUMN %1$s.mq_once.expires_at IS ''after which it is no longer worth sending'';
         COMMENT ON COLUMN %1$s.mq_once.traceparent IS ''the span of publishing, of a message that is created'';
         COMMENT ON COLUMN %1$s.mq_once.tracestate IS ''names the parent of that span'';
         COMMENT ON COLUMN %1$s.mq_once.priority IS ''0 to 3: shares of what waits for one service'';
         COMMENT ON COLUMN %1$s.mq_once.send_at IS ''when it is to be sent; null: at once'';
         COMMENT ON COLUMN %1$s.mq_once.ordering_key IS
             ''messages to one service with one key are sent one after the other; null: in no order'';
         COMMENT ON COLUMN %1$s.mq_once.on_reply IS
             ''the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one'';
         ALTER TABLE %1$s.mq_dedup OWNER TO tpro_owner;
         ALTER VIEW %1$s.mq_once OWNER TO tpro_owner;
         GRANT INSERT (id, created, dedup_key, dedup_for, protocol, space_name, service_name, entity, method_name, timeout, headers, body,
                       created_at, reply_to, expires_at, traceparent, tracestate, priority, send_at, ordering_key), SELECT
             ON %1$s.mq_once TO %2$I;
         GRANT INSERT, SELECT ON %1$s.mq_once TO %3$I;
         GRANT SELECT ON %1$s.mq_dedup TO %3$I', schema_name, outdated.service || '_publisher', sidecar)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%s.mq_once', schema_name))
                          AND a.attname = 'on_reply' AND NOT a.attisdropped)
    UNION ALL
    SELECT 'there is no table mq_later', '', 0, format(
        'CREATE TABLE %1$s.mq_later (
             id tpro.message_id DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval(''%1$s.mq_publish_id_seq'') END PRIMARY KEY,
             send_at timestamptz,
             tx tpro.transaction_id DEFAULT pg_current_xact_id(),
             protocol tpro.protocol DEFAULT ''jsonrpc'',
             space_name tpro.space_name DEFAULT tpro.space(),
             service_name tpro.service_name DEFAULT NULL,
             entity tpro.entity DEFAULT NULL,
             method_name tpro.method_name DEFAULT NULL,
             timeout tpro.timeout DEFAULT 15,
             headers tpro.headers DEFAULT ''{}'',
             body tpro.body DEFAULT ''{}'',
             created_at tpro.created_at DEFAULT clock_timestamp(),
             reply_to tpro.reply_to,
             expires_at tpro.expires_at,
             traceparent tpro.traceparent DEFAULT tpro.new_traceparent(),
             tracestate tpro.tracestate DEFAULT tpro.new_tracestate(),
             priority integer DEFAULT 0,
             ordering_key text DEFAULT NULL,
             on_reply text DEFAULT NULL,
             retry_of bigint DEFAULT NULL,
             CONSTRAINT mq_later_body_rule CHECK (tpro.check_body_for(protocol, body))
         ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
         CREATE INDEX mq_later_send_at ON %1$s.mq_later (send_at, id);
         CREATE TRIGGER bell BEFORE INSERT ON %1$s.mq_later FOR EACH ROW EXECUTE FUNCTION tpro.bell();
         COMMENT ON TRIGGER bell ON %1$s.mq_later IS ''refuses what may not be sent, and tells the dispatcher of what is due soon'';
         COMMENT ON TABLE %1$s.mq_later IS ''what this service asks of others later; at its time a row goes into mq_publish'';
         COMMENT ON COLUMN %1$s.mq_later.id IS ''number within the outbox, which stays when it is sent'';
         COMMENT ON COLUMN %1$s.mq_later.send_at IS ''when it is to be sent: at most 30 days ahead'';
         COMMENT ON COLUMN %1$s.mq_later.tx IS ''the transaction that published'';
         COMMENT ON COLUMN %1$s.mq_later.protocol IS ''jsonrpc or json'';
         COMMENT ON COLUMN %1$s.mq_later.space_name IS ''first token of the subject'';
         COMMENT ON COLUMN %1$s.mq_later.service_name IS ''second token: the service that answers'';
         COMMENT ON COLUMN %1$s.mq_later.entity IS ''third token'';
         COMMENT ON COLUMN %1$s.mq_later.method_name IS ''fourth token'';
         COMMENT ON COLUMN %1$s.mq_later.timeout IS ''seconds to wait for the reply, from the first send; 0: an event'';
         COMMENT ON COLUMN %1$s.mq_later.headers IS ''what travels beside the body'';
         COMMENT ON COLUMN %1$s.mq_later.body IS ''what is sent'';
         COMMENT ON COLUMN %1$s.mq_later.created_at IS ''when it was published'';
         COMMENT ON COLUMN %1$s.mq_later.reply_to IS
             ''label to which the sidecar publishes the bare reply as well, behind its setting REPLY_TO_PREFIX; null: to none'';
         COMMENT ON COLUMN %1$s.mq_later.expires_at IS ''after which it is no longer worth sending; later than send_at'';
         COMMENT ON COLUMN %1$s.mq_later.traceparent IS ''the span of publishing'';
         COMMENT ON COLUMN %1$s.mq_later.tracestate IS ''names the parent of that span'';
         COMMENT ON COLUMN %1$s.mq_later.priority IS
             ''0 to 3: shares of what waits for one service; 3 has the largest, 0 the smallest'';
         COMMENT ON COLUMN %1$s.mq_later.ordering_key IS
             ''messages to one service with one key are sent one after the other; null: in no order'';
         COMMENT ON COLUMN %1$s.mq_later.on_reply IS
             ''the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one'';
         COMMENT ON COLUMN %1$s.mq_later.retry_of IS ''id of the message that this one repeats; null: of none'';
         COMMENT ON INDEX %1$s.mq_later_send_at IS ''what the dispatcher looks by'';
         ALTER TABLE %1$s.mq_later OWNER TO tpro_owner;
         GRANT INSERT (send_at, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to,
                       expires_at, traceparent, tracestate, priority, ordering_key), SELECT (id, traceparent) ON %1$s.mq_later TO %2$I;
         GRANT INSERT (send_at, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to,
                       expires_at, traceparent, tracestate, priority, ordering_key, on_reply), SELECT ON %1$s.mq_later TO %3$I',
        schema_name, outdated.service || '_publisher', sidecar)
     WHERE to_regclass(format('%s.mq_later', schema_name)) IS NULL
    UNION ALL
    SELECT 'there is no table mq_handler', '', 0, format(
        'CREATE TABLE %1$s.mq_handler (
             entity tpro.entity,
             method_name tpro.method_name,
             handler text NOT NULL,
             mode text NOT NULL CONSTRAINT mq_handler_mode_rule CHECK (mode IN (''transactional'', ''stateless'')),
             timeout integer CONSTRAINT mq_handler_timeout_rule CHECK (timeout BETWEEN 1 AND 86400),
             since timestamptz NOT NULL DEFAULT clock_timestamp(),
             description text,
             body_schema jsonb,
             result_schema jsonb,
             PRIMARY KEY (entity, method_name)
         );
         COMMENT ON TABLE %1$s.mq_handler IS ''the methods of this service that functions in SQL answer; tpro.handle() writes it'';
         COMMENT ON COLUMN %1$s.mq_handler.entity IS ''third token of the subject'';
         COMMENT ON COLUMN %1$s.mq_handler.method_name IS ''fourth token of the subject'';
         COMMENT ON COLUMN %1$s.mq_handler.handler IS ''the function, by its name'';
         COMMENT ON COLUMN %1$s.mq_handler.mode IS ''transactional or stateless'';
         COMMENT ON COLUMN %1$s.mq_handler.timeout IS ''the longest time that a message has, in seconds; null: as long as its requester waits'';
         COMMENT ON COLUMN %1$s.mq_handler.since IS ''when tpro.handle() said so last'';
         COMMENT ON COLUMN %1$s.mq_handler.description IS ''what the method does, by tpro.describe(); null: the comment on the function'';
         COMMENT ON COLUMN %1$s.mq_handler.body_schema IS ''JSON Schema of its body, by tpro.describe(); null: not known'';
         COMMENT ON COLUMN %1$s.mq_handler.result_schema IS ''JSON Schema of its result, by tpro.describe(); null: not known'';
         ALTER TABLE %1$s.mq_handler OWNER TO tpro_owner;
         GRANT SELECT ON %1$s.mq_handler TO %2$I', schema_name, sidecar)
     WHERE to_regclass(format('%s.mq_handler', schema_name)) IS NULL
    UNION ALL
    SELECT 'there is no table mq_callback', '', 0, format(
        'CREATE TABLE %1$s.mq_callback (
             service_name tpro.service_name,
             entity tpro.entity,
             method_name tpro.method_name,
             ok text,
             failed text,
             number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT mq_callback_number_key UNIQUE,
             since timestamptz NOT NULL DEFAULT clock_timestamp(),
             PRIMARY KEY (service_name, entity, method_name)
         );
         COMMENT ON TABLE %1$s.mq_callback IS ''the methods whose replies functions in SQL handle; tpro.on_reply() writes it'';
         COMMENT ON COLUMN %1$s.mq_callback.service_name IS ''the service that is asked'';
         COMMENT ON COLUMN %1$s.mq_callback.entity IS ''third token of the subject'';
         COMMENT ON COLUMN %1$s.mq_callback.method_name IS ''fourth token of the subject'';
         COMMENT ON COLUMN %1$s.mq_callback.ok IS ''the function for replies with status ok, by its name; null: none'';
         COMMENT ON COLUMN %1$s.mq_callback.failed IS ''the function for all other replies, by its name; null: none'';
         COMMENT ON COLUMN %1$s.mq_callback.number IS ''grows with each change, so that the dispatcher sees that there was one'';
         COMMENT ON SEQUENCE %1$s.mq_callback_number_seq IS ''numbers of changes of reply handlers'';
         COMMENT ON COLUMN %1$s.mq_callback.since IS ''when tpro.on_reply() or tpro.off_reply() said so last'';
         ALTER TABLE %1$s.mq_callback OWNER TO tpro_owner;
         GRANT SELECT ON %1$s.mq_callback TO %2$I', schema_name, sidecar)
     WHERE to_regclass(format('%s.mq_callback', schema_name)) IS NULL
    UNION ALL
    SELECT 'there is no table mq_hold', '', 0, format(
        'CREATE TABLE %1$s.mq_hold (
             id bigint PRIMARY KEY,
             space_name tpro.space_name,
             service_name tpro.service_name,
             ordering_key text NOT NULL,
             since timestamptz NOT NULL DEFAULT clock_timestamp()
         );
         CREATE INDEX mq_hold_ordering_key ON %1$s.mq_hold (ordering_key);
         COMMENT ON TABLE %1$s.mq_hold IS ''ordering keys whose messages wait because one of them has failed, until tpro.retry() or tpro.release()'';
         COMMENT ON COLUMN %1$s.mq_hold.id IS ''number of a message that failed, or of a copy that tpro.retry() has made of it; of its key only these may be sent'';
         COMMENT ON COLUMN %1$s.mq_hold.space_name IS ''first token of the subject'';
         COMMENT ON COLUMN %1$s.mq_hold.service_name IS ''the service that is asked'';
         COMMENT ON COLUMN %1$s.mq_hold.ordering_key IS ''the key that is held'';
         COMMENT ON COLUMN %1$s.mq_hold.since IS ''when the message failed'';
         COMMENT ON INDEX %1$s.mq_hold_ordering_key IS ''the rows of a key, for tpro.release()'';
         ALTER TABLE %1$s.mq_hold OWNER TO tpro_owner;
         GRANT SELECT, INSERT ON %1$s.mq_hold TO %2$I;
         GRANT SELECT ON %1$s.mq_hold TO tpro_reader, tpro_operator', schema_name, sidecar)
     WHERE to_regclass(format('%s.mq_hold', schema_name)) IS NULL
    UNION ALL
    SELECT format('%s has rights in schema %s', maintainer, schema_name), '', 4,
           format('REVOKE ALL ON ALL TABLES IN SCHEMA %1$s FROM %2$I; REVOKE ALL ON SCHEMA %1$s FROM %2$I', schema_name, maintainer)
     WHERE EXISTS (SELECT FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
                    WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'a' AND r.rolname = maintainer
                      AND d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
                      AND (d.classid = 'pg_namespace'::regclass AND d.objid = schema_oid
                           OR d.classid = 'pg_class'::regclass
                              AND d.objid IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = schema_oid)))
    UNION ALL
    -- As sql/login.sql marks it, which refuses a role that somebody else has made.
    SELECT format('login %s is not marked', outdated.service), '', 4,
           format('COMMENT ON ROLE %I IS %L', outdated.service, 'tpro: login of service ' || outdated.service)
      FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid JOIN pg_roles g ON g.oid = m.roleid
     WHERE r.rolname = outdated.service AND r.rolcanlogin AND g.rolname = sidecar
       AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)
       AND shobj_description(r.oid, 'pg_authid') IS NULL
    UNION ALL
    -- It is a member of nothing any more that it should not be by itself.
    SELECT format('%s does not inherit', sidecar), '', 5, format('ALTER ROLE %I INHERIT', sidecar)
      FROM pg_roles r WHERE r.rolname = sidecar AND NOT r.rolinherit
       AND NOT EXISTS (SELECT FROM pg_roles m WHERE m.rolname = maintainer);
END
$$;
COMMENT ON FUNCTION tpro.outdated(pg_catalog.text) IS
    'what of a service is still as an earlier release made it, and the change that is due; none after tpro.upgrade_service(); 3F000 unknown';

-- SECURITY DEFINER, as create_service: it drops a role and grants the extension's functions. Of its caller it takes a name.
-- Whoever uses a table waits while it is changed. So each lock is waited for 50 ms, the partitioned table's comes before those of
-- its partitions, as everybody else takes them, and what is not done 100 ms after the first lock is left for the next call.
CREATE FUNCTION tpro.upgrade_service(name pg_catalog.text) RETURNS SETOF pg_catalog.text
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(upgrade_service.name)::text;
    maintainer CONSTANT text := upgrade_service.name || '_maintainer';
    old_role CONSTANT oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = maintainer);
    this_database CONSTANT oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    patience CONSTANT text := current_setting('lock_timeout');
    -- A second and a half, in which nobody waits behind us for more than 50 ms.
    tries CONSTANT integer := 15;
    hold CONSTANT interval := '100 milliseconds';
    foreign_code text[];
    one record;
    first_lock timestamptz;
    tried integer;
    held text;
    remaining text[] := '{}';
BEGIN
    IF NOT EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = upgrade_service.name) THEN
        RAISE invalid_schema_name USING MESSAGE = format('schema %s is not that of a service', schema_name);
    END IF;

    -- First what locks no table, and takes the login's power over the tables away whatever comes of the rest.
    FOR one IN SELECT o.statement FROM tpro.outdated(upgrade_service.name) o WHERE o.step = 0 LOOP
        EXECUTE one.statement;
    END LOOP;
    IF old_role IS NOT NULL THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA %s FROM %I', schema_name, maintainer);
        -- In another database of the cluster the service may still be of the earlier release, and lives by these memberships.
        IF NOT EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = old_role
                          AND d.dbid NOT IN (0, this_database)) THEN
            -- What runs as tpro_owner reads the tables by its membership as long as they are not its own.
            FOR one IN SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                        WHERE m.roleid = old_role AND r.rolname <> 'tpro_owner' LOOP
                EXECUTE format('REVOKE %I FROM %I', maintainer, one.rolname);
            END LOOP;
        END IF;
    END IF;

    foreign_code := ARRAY(SELECT f FROM tpro.foreign_code(upgrade_service.name) f);
    IF cardinality(foreign_code) > 0 THEN
        RETURN QUERY SELECT format('not of tpro, and may run as whoever uses the table: %s; look at it, drop it, and call again', f)
                       FROM unnest(foreign_code) f;
        RETURN QUERY SELECT DISTINCT o.what FROM tpro.outdated(upgrade_service.name) o;
        RETURN;
    END IF;

    PERFORM set_config('lock_timeout', '50ms', true);
    FOR one IN
        WITH due AS (SELECT o.*, row_number() OVER () AS n FROM tpro.outdated(upgrade_service.name) o WHERE o.step BETWEEN 1 AND 4)
        SELECT c.*
          FROM (SELECT d.relation, d.step, d.statement, d.n, d.what FROM due d
                 UNION ALL
                SELECT DISTINCT d.relation, 1, format('LOCK TABLE ONLY %s.%I IN ACCESS EXCLUSIVE MODE', schema_name, d.relation), 0, NULL
                  FROM due d JOIN pg_class t ON t.oid = to_regclass(format('%s.%I', schema_name, d.relation)) AND t.relkind <> 'v'
                 WHERE d.step < 4) c
         ORDER BY c.step = 4, c.relation, c.step, c.n
    LOOP
        tried := 1;
        WHILE held IS NULL LOOP
            BEGIN
                EXECUTE one.statement;
                EXIT;
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                -- Whoever holds what we wait for may wait for what we hold.
                IF first_lock IS NOT NULL OR tried >= tries THEN
                    held := format('%s is in use%s: call again, or end those transactions', one.relation,
                        (SELECT ' by ' || string_agg(DISTINCT coalesce('process ' || l.pid, 'a prepared transaction'), ', ')
                           FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                          WHERE l.locktype = 'relation' AND l.database = this_database AND l.granted
                            AND l.pid IS DISTINCT FROM pg_backend_pid()
                            AND c.relnamespace = schema_name::regnamespace AND starts_with(c.relname, one.relation)));
                END IF;
            END;
            tried := tried + 1;
            PERFORM pg_sleep(CASE WHEN held IS NULL THEN 0.02 + random() * 0.06 ELSE 0 END);
        END LOOP;
        IF held IS NOT NULL THEN
            -- From here on only what is left, without another look into the catalogue while everybody waits.
            remaining := CASE WHEN one.what IS NULL THEN remaining ELSE array_append(remaining, one.what) END;
            CONTINUE;
        END IF;
        first_lock := coalesce(first_lock, clock_timestamp());
        IF clock_timestamp() - first_lock > hold THEN
            held := 'it stopped so that nobody waits for longer: call again';
        END IF;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    IF cardinality(remaining) > 0 THEN
        RETURN NEXT held;
        RETURN QUERY SELECT DISTINCT r FROM unnest(remaining) r;
        RETURN;
    END IF;
    IF shobj_description(old_role, 'pg_authid') LIKE 'tpro: %' THEN
        BEGIN
            EXECUTE format('DROP ROLE %I', maintainer);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            RAISE NOTICE 'role % stays: it is used elsewhere, perhaps by this service in another database, which is still to be upgraded',
                         maintainer;
        END;
    END IF;
    FOR one IN SELECT o.statement FROM tpro.outdated(upgrade_service.name) o WHERE o.step = 5 LOOP
        EXECUTE one.statement;
    END LOOP;
    RETURN QUERY SELECT DISTINCT o.what FROM tpro.outdated(upgrade_service.name) o;
END
$$;
COMMENT ON FUNCTION tpro.upgrade_service(pg_catalog.text) IS
    'brings what an earlier release made of a service to this one, under load; what is left to do, a line each: call again until there is none; 3F000 unknown';

-- It commits, so that it cannot pin search_path: every name is qualified, and so is every operator.
CREATE PROCEDURE tpro.upgrade_services(patience pg_catalog.interval DEFAULT '1 minute')
    LANGUAGE plpgsql
AS $$
DECLARE
    finish CONSTANT pg_catalog.timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) patience;
    service pg_catalog.text;
    lines pg_catalog.text[];
    remaining pg_catalog.text[];
BEGIN
    LOOP
        remaining := '{}';
        FOREACH service IN ARRAY ARRAY(SELECT s.name FROM tpro.service_schemas s ORDER BY s.name USING OPERATOR(pg_catalog.<)) LOOP
            lines := ARRAY(SELECT pg_catalog.format('%s: %s', service, u.line) FROM tpro.upgrade_service(service) AS u(line));
            -- Each service by itself: nobody waits for the locks of another's.
            COMMIT;
            remaining := pg_catalog.array_cat(remaining, lines);
        END LOOP;
        EXIT WHEN pg_catalog.cardinality(remaining) OPERATOR(pg_catalog.=) 0;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) finish THEN
            RAISE object_in_use USING
                MESSAGE = pg_catalog.array_to_string(remaining, pg_catalog.chr(10)),
                HINT = 'What was done stays done. CALL tpro.upgrade_services() goes on.';
        END IF;
        PERFORM pg_catalog.pg_sleep(0.1);
        COMMIT;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE tpro.upgrade_services(pg_catalog.interval) IS
    'calls tpro.upgrade_service() for every service of this database until nothing is left to do; 55006 with what is left when that takes longer than its argument, 2D000 in a transaction block';

-- SECURITY DEFINER: it counts rows that its callers may not read. What it returns holds nothing of them.
-- Of what the cursor has passed, only its pending ids can be unsettled; the rest is found by the index on tx. Settings and
-- subqueries are those of the dispatcher's own statements: what is settled is never scanned, whatever the statistics say.
CREATE FUNCTION tpro.waiting(service pg_catalog.text)
    RETURNS TABLE (target pg_catalog.text, messages pg_catalog.int8, oldest_age pg_catalog.interval)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(waiting.service)::text;
    seen pg_snapshot;
    pending bigint[];
BEGIN
    EXECUTE format('SELECT c.snapshot, c.pending FROM %s.mq_cursor c', schema_name) INTO seen, pending;
    RETURN QUERY EXECUTE format('
        SELECT m.target, count(*), clock_timestamp() - min(m.created_at)
          FROM (SELECT p.id, p.created_at::timestamptz, p.space_name || ''.'' || p.service_name || ''.'' || p.entity || ''.'' || p.method_name AS target
                  FROM %1$s.mq_publish p WHERE p.tx >= $1
                 UNION
                SELECT p.id, p.created_at, p.space_name || ''.'' || p.service_name || ''.'' || p.entity || ''.'' || p.method_name
                  FROM unnest($2) AS k (id)
                 CROSS JOIN LATERAL (SELECT * FROM %1$s.mq_publish o WHERE o.id = k.id LIMIT 1) p) m
         WHERE (SELECT true FROM %1$s.mq_reply r WHERE r.mq_id = m.id) IS NULL
         GROUP BY m.target ORDER BY 2 DESC', schema_name)
        USING pg_snapshot_xmin(seen), pending;
END
$$;
ALTER FUNCTION tpro.waiting(pg_catalog.text) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.waiting(pg_catalog.text) IS
    'for which targets messages of the service have no reply yet, how many, and how old the oldest is; 3F000 unknown';

CREATE OR REPLACE FUNCTION tpro.service_state()
    RETURNS TABLE (name pg_catalog.text, unsettled pg_catalog.int8, oldest_age pg_catalog.interval,
                   leader_pid pg_catalog.int4, asleep pg_catalog.bool)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    SET lock_timeout = '500ms'
AS $$
DECLARE
    service record;
BEGIN
    FOR service IN
        SELECT s.name, s.schema_name,
               max(l.pid) FILTER (WHERE l.lock = 'leader') AS leader_pid,
               coalesce(bool_or(l.lock = 'bell'), false) AS asleep
          FROM tpro.service_schemas s
          LEFT JOIN tpro.locks l ON l.schema_oid = s.schema_oid
         GROUP BY s.name, s.schema_name
         ORDER BY s.name
    LOOP
        name := service.name;
        leader_pid := service.leader_pid;
        asleep := service.asleep;
        -- A service whose login keeps its tables locked must not hide the others.
        BEGIN
            SELECT coalesce(sum(w.messages), 0), max(w.oldest_age) INTO unsettled, oldest_age FROM tpro.waiting(service.name) w;
        EXCEPTION WHEN lock_not_available THEN
            unsettled := NULL;
            oldest_age := NULL;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON COLUMN tpro.services.unsettled IS 'messages in its outbox that have no reply yet; null: a transaction keeps its tables locked';

-- What keeps messages from moving while nothing fails: a rule, a trigger, a policy, a constraint or an owner that is not ours, or
-- something of ours that is not there. It reads catalogues only, and is asked by each copy every few seconds.
CREATE FUNCTION tpro.faults(service pg_catalog.text)
    RETURNS TABLE (thing pg_catalog.text, problem pg_catalog.text, remedy pg_catalog.text)
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_oid CONSTANT oid := tpro.sender_schema(faults.service)::oid;
    schema_name CONSTANT text := tpro.sender_schema(faults.service)::text;
    ours CONSTANT oid[] := ARRAY['tpro.bell()', 'tpro.once()']::regprocedure[];
BEGIN
    RETURN QUERY
    WITH tables AS (
        -- With what somebody has put on one of them from elsewhere.
        SELECT c.oid, c.oid::regclass::text AS name, c.relowner, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
               coalesce(p.relname, c.relname)::text AS family
          FROM pg_class c
          LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
          LEFT JOIN pg_class p ON p.oid = i.inhparent AND p.relnamespace = schema_oid
         WHERE c.relkind IN ('r', 'p', 'v', 'f', 'S')
           AND (c.relnamespace = schema_oid AND c.relname LIKE 'mq\_%' OR p.relname LIKE 'mq\_%')
    ), foreign_keys AS MATERIALIZED (
        -- Nothing finds them by the table that they refer to.
        SELECT k.conname, k.conrelid, k.confrelid FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0
    ), ranges AS (
        -- Up to which id or uid each partition goes, and where the next one begins.
        SELECT t.family, b.high, lead(b.low) OVER (PARTITION BY t.family ORDER BY b.place) AS next
          FROM tables t
          JOIN pg_class c ON c.oid = t.oid AND c.relispartition
         CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('?([^')]+)'?\) TO \('?([^')]+)'?\)$re$)) AS m (bound)
         CROSS JOIN LATERAL (SELECT m.bound[1] AS low, m.bound[2] AS high,
                                    CASE m.bound[1] WHEN 'MINVALUE' THEN '' ELSE lpad(m.bound[1], 36, '0') END AS place) b
         WHERE t.family IN ('mq_publish', 'mq_reply', 'mq_receive', 'mq_outcome')
    ), passed AS (
        -- What is behind this is nobody's loss: up to it partitions go when they are old.
        SELECT f.family,
               CASE WHEN f.family IN ('mq_publish', 'mq_reply')
                    THEN lpad(coalesce(CASE WHEN has_sequence_privilege(s.oid, 'SELECT') THEN pg_sequence_last_value(s.oid) END, 0)::text, 36, '0')
                    ELSE rpad(lpad(to_hex((extract(epoch FROM statement_timestamp()) * 1000)::bigint), 12, '0'), 32, '0')::uuid::text
               END AS place
          FROM unnest(ARRAY['mq_publish', 'mq_reply', 'mq_receive', 'mq_outcome']) AS f (family)
         CROSS JOIN (SELECT max(t.oid) AS oid FROM tables t WHERE t.relkind = 'S' AND t.family = 'mq_publish_id_seq') s
    )
    SELECT format('%s.%s', schema_name, e.name), 'is missing', 'restore it from a backup'
      FROM unnest(ARRAY['mq_publish', 'mq_publish_id_seq', 'mq_reply', 'mq_reply_fault', 'mq_cursor', 'mq_backlog', 'mq_status',
                        'mq_receive', 'mq_outcome']) AS e (name)
     WHERE NOT EXISTS (SELECT FROM tables t WHERE t.family = e.name)
    UNION ALL
    SELECT t.name, format('belongs to %s', r.rolname), format('ALTER %s %s OWNER TO tpro_owner',
           CASE t.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, t.name)
      FROM tables t JOIN pg_roles r ON r.oid = t.relowner
     WHERE r.rolname <> 'tpro_owner'
    UNION ALL
    SELECT t.name, 'is a foreign table', format('DROP FOREIGN TABLE %s', t.name) FROM tables t WHERE t.relkind = 'f'
    UNION ALL
    SELECT t.name, 'has row-level security, which hides messages',
           format('ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY; ALTER TABLE %1$s NO FORCE ROW LEVEL SECURITY', t.name)
      FROM tables t WHERE t.relrowsecurity OR t.relforcerowsecurity
    UNION ALL
    SELECT t.name, format('has the policy %s', p.polname), format('DROP POLICY %I ON %s', p.polname, t.name)
      FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
    UNION ALL
    SELECT t.name, format('has the rule %s', w.rulename), format('DROP RULE %I ON %s', w.rulename, t.name)
      FROM tables t JOIN pg_rewrite w ON w.ev_class = t.oid AND NOT (t.relkind = 'v' AND w.rulename = '_RETURN')
    UNION ALL
    -- DROP TRIGGER locks the partitions before their table, and everybody else the table first: without the lock, a deadlock.
    SELECT t.name, format('has the trigger %s, which is not of tpro', g.tgname),
           format(CASE t.relkind WHEN 'p' THEN 'BEGIN; LOCK TABLE %2$s; DROP TRIGGER %1$I ON %2$s; COMMIT'
                                 ELSE 'DROP TRIGGER %1$I ON %2$s' END, g.tgname, t.name)
      FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid
     WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgfoid <> ALL (ours)
    UNION ALL
    SELECT t.name, format('has the trigger %s switched off', g.tgname), format('ALTER TABLE %s ENABLE TRIGGER %I', t.name, g.tgname)
      FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid
     WHERE g.tgfoid = ANY (ours) AND g.tgenabled NOT IN ('O', 'A')
    UNION ALL
    SELECT t.name, format('%s the trigger bell%s', CASE WHEN g.oid IS NULL THEN 'lacks' ELSE 'has' END,
                          CASE WHEN g.oid IS NULL THEN '' ELSE ' of an earlier release' END),
           CASE WHEN g.oid IS NULL
                THEN format('CREATE TRIGGER bell BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION tpro.bell()', t.name)
                ELSE format('SELECT tpro.upgrade_service(%L)', faults.service) END
      FROM tables t
      LEFT JOIN pg_trigger g ON g.tgrelid = t.oid AND g.tgfoid = 'tpro.bell()'::regprocedure
     WHERE (t.family = 'mq_publish' AND t.relkind = 'p' OR t.family = 'mq_later' AND t.relkind = 'r') AND g.tgtype IS DISTINCT FROM 7
    UNION ALL
    SELECT t.name, format('has the constraint %s, which is not of tpro', k.conname), format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, k.conname)
      FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid
     WHERE k.conparentid = 0 AND k.conislocal AND k.contype IN ('c', 'f', 'u', 'x') AND k.conname NOT LIKE 'tpro\_%'
       AND k.conname NOT IN ('mq_publish_body_rule', 'mq_later_body_rule', 'mq_cursor_one_row', 'mq_backlog_one_row',
                             'mq_handler_mode_rule', 'mq_handler_timeout_rule', 'mq_callback_number_key')
    UNION ALL
    SELECT t.name, format('is referred to by the foreign key %s of %s, so that nothing of it can go', k.conname, k.conrelid::regclass),
           format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname)
      FROM tables t JOIN foreign_keys k ON k.confrelid = t.oid
     WHERE k.conrelid NOT IN (SELECT o.oid FROM tables o)
    UNION ALL
    SELECT t.name, format('has the unique index %s, which refuses rows', x.indexrelid::regclass), format('DROP INDEX %s', x.indexrelid::regclass)
      FROM tables t JOIN pg_index x ON x.indrelid = t.oid
     WHERE x.indisunique AND NOT x.indisprimary
       AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid)
    UNION ALL
    SELECT t.name, format('has the column %s, which is not of tpro and must not be null', a.attname),
           format('ALTER TABLE %s ALTER %I DROP NOT NULL', t.name, a.attname)
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef
     WHERE t.relkind = 'p'
       AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = t.oid AND x.indisprimary AND a.attnum = ANY (x.indkey))
       AND (t.family, a.attname) NOT IN (('mq_receive', 'copy_key'), ('mq_receive', 'target'), ('mq_receive', 'attempt'),
                                         ('mq_receive', 'deadline'), ('mq_outcome', 'run'), ('mq_outcome', 'answer'))
    UNION ALL
    SELECT format('%s.%s', schema_name, r.family), format('has no partition from %s to %s', r.high, coalesce(r.next, 'the end')),
           'maintenance makes it again; make maintain-NAME does it now'
      FROM ranges r JOIN passed p ON p.family = r.family
     WHERE r.high <> 'MAXVALUE' AND r.high IS DISTINCT FROM r.next
       AND (r.next IS NULL OR lpad(r.next, 36, '0') > p.place);
END
$$;
COMMENT ON FUNCTION tpro.faults(pg_catalog.text) IS
    'what of a service''s tables is not as tpro has made it and stands in its way, with its remedy, a row each; 3F000 unknown';

-- Rows that came with a transaction of long ago, by a restore with triggers switched off, or were hidden when they were read.
CREATE FUNCTION tpro.resume(service pg_catalog.text) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(resume.service)::text;
    found bigint;
BEGIN
    -- One statement, so that cursor and replies are of one moment. What is visible in the cursor's snapshot was read, and is
    -- settled or pending in it; what is neither was passed over, and will be by every leader to come.
    EXECUTE format('
        UPDATE %1$s.mq_publish u SET tx = pg_current_xact_id()
          FROM %1$s.mq_cursor c, %1$s.mq_publish p
         WHERE u.id = p.id AND NOT p.direct AND pg_visible_in_snapshot(p.tx, c.snapshot) AND p.id <> ALL (c.pending)
           AND NOT EXISTS (SELECT FROM %1$s.mq_reply r WHERE r.mq_id = p.id)', schema_name);
    GET DIAGNOSTICS found = ROW_COUNT;
    RETURN found;
END
$$;
ALTER FUNCTION tpro.resume(pg_catalog.text) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.resume(pg_catalog.text) IS
    'has messages sent that have no reply and that the dispatcher has passed over, and returns how many; it looks at every message; 3F000 unknown';

-- SECURITY DEFINER: an operator may accept the database without being the owner of all tables.
CREATE OR REPLACE FUNCTION tpro.adopt(service pg_catalog.text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
    one record;
BEGIN
    IF adopt.service IS NOT NULL THEN
        PERFORM tpro.sender_schema(adopt.service);
        IF NOT tpro.adopted() THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = 'this database is not adopted',
                HINT = 'Call tpro.adopt() without a service first; it adopts all of them.';
        END IF;
    END IF;
    FOR one IN SELECT s.name, s.schema_name, s.schema_oid FROM tpro.service_schemas s
                WHERE s.name = coalesce(adopt.service, s.name) ORDER BY s.name LOOP
        IF EXISTS (SELECT FROM tpro.locks l WHERE l.schema_oid = one.schema_oid AND l.lock = 'leader') THEN
            RAISE object_in_use USING
                MESSAGE = format('service %s is running', one.name),
                HINT = 'Stop its sidecars, then adopt: the leader keeps its cursor in memory.';
        END IF;
        -- Logical replication brings rows and not what a sequence has given out: the next message would take the id of another.
        EXECUTE format('SELECT setval(''%1$I.mq_publish_id_seq'', m.id)
                          FROM (SELECT greatest((SELECT max(p.id) FROM %1$I.mq_publish p),
                                                (SELECT max(r.mq_id) FROM %1$I.mq_reply r)%2$s) AS id) m,
                               %1$I.mq_publish_id_seq s
                         WHERE m.id >= s.last_value', one.schema_name,
                       CASE WHEN to_regclass(format('%I.mq_later', one.schema_name)) IS NULL THEN ''
                            ELSE format(', (SELECT max(l.id) FROM %I.mq_later l)', one.schema_name) END);
        -- Transaction ids of another cluster that have not come here yet would hide their rows until they do.
        EXECUTE format('UPDATE %I.mq_publish SET tx = pg_current_xact_id()
                         WHERE tx >= pg_snapshot_xmin(pg_current_snapshot())', one.schema_name);
        -- Read everything again; what has a reply is left out by the dispatcher.
        EXECUTE format('INSERT INTO %I.mq_cursor AS c (snapshot, pending, clean, moved_at) VALUES (DEFAULT, DEFAULT, false, DEFAULT)
                        ON CONFLICT (only_row) DO UPDATE
                        SET snapshot = EXCLUDED.snapshot, pending = EXCLUDED.pending, clean = EXCLUDED.clean,
                            moved_at = EXCLUDED.moved_at',
                       one.schema_name);
        -- Nothing is known to wait; the leader will note what does.
        EXECUTE format('INSERT INTO %1$I.mq_backlog AS b (unsettled, upto)
                        SELECT 0, s.last_value FROM %1$I.mq_publish_id_seq s
                        ON CONFLICT (only_row) DO UPDATE SET unsettled = EXCLUDED.unsettled, upto = EXCLUDED.upto',
                       one.schema_name);
    END LOOP;
    IF adopt.service IS NULL THEN
        -- A new instance: the database this one was copied from may be alive, and has the reply subjects of the old.
        INSERT INTO tpro.identity (system_identifier, database_oid)
            SELECT s.system_identifier, d.oid FROM pg_control_system() s, pg_database d
             WHERE d.datname = current_database();
    END IF;
END
$$;

-- SECURITY DEFINER: an operator may read no body and write to no table.
CREATE OR REPLACE FUNCTION tpro.cancel(id pg_catalog.int8, sender pg_catalog.text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(cancel.sender)::text;
    message uuid;
    settled bigint;
    columns CONSTANT text := 'id, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, '
        'reply_to, traceparent, tracestate, priority, ordering_key, on_reply, retry_of';
BEGIN
    EXECUTE format('SELECT p.uid FROM %s.mq_publish p WHERE p.id = $1', schema_name) INTO message USING cancel.id;
    GET DIAGNOSTICS settled = ROW_COUNT;
    IF settled = 0 AND to_regclass(schema_name || '.mq_later') IS NOT NULL THEN
        -- It waits for its time. It goes into the outbox as one that expired long ago: so no dispatcher sends it that reads it
        -- before it knows of the reply.
        PERFORM tpro.let_pass(true);
        EXECUTE format('WITH gone AS (DELETE FROM %1$s.mq_later l WHERE l.id = $1 RETURNING l.*)
                        INSERT INTO %1$s.mq_publish (%2$s, expires_at) SELECT %2$s, timestamptz ''epoch'' FROM gone RETURNING uid',
                       schema_name, columns) INTO message USING cancel.id;
        GET DIAGNOSTICS settled = ROW_COUNT;
        PERFORM tpro.let_pass(false);
        IF settled = 0 THEN
            -- Its time may have come since the first look.
            EXECUTE format('SELECT p.uid FROM %s.mq_publish p WHERE p.id = $1', schema_name) INTO message USING cancel.id;
            GET DIAGNOSTICS settled = ROW_COUNT;
        END IF;
    END IF;
    IF settled = 0 THEN
        PERFORM tpro.no_message(cancel.id, schema_name);
    END IF;
    -- The first reply wins: what is settled stays, and what comes after is dropped.
    EXECUTE format('INSERT INTO %s.mq_reply (mq_id, uid, status, error) VALUES ($1, $2, ''cancelled'', $3)
                    ON CONFLICT DO NOTHING', schema_name)
        USING cancel.id, message, '{"code": -32004, "message": "cancelled by an operator"}'::jsonb;
    GET DIAGNOSTICS settled = ROW_COUNT;
    IF settled = 1 THEN
        -- At the commit the leader lets go of it. The notification carries nothing: the leader looks into the tables.
        PERFORM pg_notify('cancelled_in_' || schema_name, '');
    END IF;
    RETURN settled = 1;
END
$$;
COMMENT ON FUNCTION tpro.cancel(pg_catalog.int8, pg_catalog.text) IS
    'settles an unsettled message as cancelled, whether it was sent or not, so that no further attempt begins; false if it was settled already; not in a transaction that is to be prepared; P0002 unknown id, 55000 no sender, 3F000 unknown sender';

-- ---------------------------------------------------------------------------------------------------------------------
-- Partitions. A sidecar makes and drops them by these functions and not as the owner of the tables: what a service's login
-- could alter would run its code with the rights of everybody who reads it. So each function takes a service, the name of a
-- table and numbers, and finds out by itself what is settled and old enough to go. sidecar/src/maintenance calls them.
--
-- A key is an id, or for the inbox a day (UTC) since 1970, of the uid's time. 0 stands for MINVALUE, 2^63 - 1 for MAXVALUE.
-- Nobody waits for a partition longer than lock_timeout, 50 ms, and nobody's INSERT is refused meanwhile or afterwards.
-- ---------------------------------------------------------------------------------------------------------------------
CREATE FUNCTION tpro.partition_label(table_name pg_catalog.text, key pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN table_name IN ('mq_publish', 'mq_reply') THEN lpad(key::text, greatest(12, length(key::text)), '0')
                WHEN key = 0 THEN '00000000'
                ELSE to_char(date '1970-01-01' + key::integer, 'YYYYMMDD') END
$$;
COMMENT ON FUNCTION tpro.partition_label(pg_catalog.text, pg_catalog.int8) IS
    'a key in the name of a partition: twelve digits of an id, or a date';

CREATE FUNCTION tpro.partition_unlabel(table_name pg_catalog.text, label pg_catalog.text) RETURNS pg_catalog.int8
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN table_name IN ('mq_publish', 'mq_reply') THEN label::bigint
                WHEN label = '00000000' THEN 0
                ELSE to_date(label, 'YYYYMMDD') - date '1970-01-01' END
$$;
COMMENT ON FUNCTION tpro.partition_unlabel(pg_catalog.text, pg_catalog.text) IS 'the key that the name of a partition says';

CREATE FUNCTION tpro.partition_name(table_name pg_catalog.text, low pg_catalog.int8, high pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT table_name || CASE high WHEN 9223372036854775807 THEN '_rest'
        ELSE '_p' || tpro.partition_label(table_name, low) || '_' || tpro.partition_label(table_name, high) END
$$;
COMMENT ON FUNCTION tpro.partition_name(pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS
    'the name of the partition with the keys from low to below high';

CREATE FUNCTION tpro.partition_words(table_name pg_catalog.text, low pg_catalog.int8, high pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(' ', CASE WHEN table_name IN ('mq_publish', 'mq_reply') THEN 'ids' ELSE 'days' END,
                     'from ' || ltrim(nullif(k.low, ''), '0'),
                     CASE WHEN k.low <> '' AND k.high <> '' THEN 'to' END,
                     'below ' || ltrim(nullif(k.high, ''), '0'))
      FROM (SELECT CASE WHEN low > 0 THEN tpro.partition_label(table_name, low) ELSE '' END AS low,
                   CASE WHEN high < 9223372036854775807 THEN tpro.partition_label(table_name, high) ELSE '' END AS high) k
$$;
COMMENT ON FUNCTION tpro.partition_words(pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS
    'the keys from low to below high, for a person';

CREATE FUNCTION tpro.partition_bound(table_name pg_catalog.text, key pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN key = 0 THEN 'MINVALUE'
                WHEN key = 9223372036854775807 THEN 'MAXVALUE'
                WHEN table_name IN ('mq_publish', 'mq_reply') THEN quote_literal(key)
                -- The first millisecond of the day in the 48 bits of time, nothing in the rest.
                ELSE quote_literal(rpad(lpad(to_hex(key * 86400000), 12, '0'), 32, '0')::uuid) END
$$;
COMMENT ON FUNCTION tpro.partition_bound(pg_catalog.text, pg_catalog.int8) IS 'a key in FOR VALUES FROM (...) TO (...)';

CREATE FUNCTION tpro.partition_key(bound pg_catalog.text) RETURNS pg_catalog.int8
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN bound = 'MINVALUE' THEN 0
                WHEN bound = 'MAXVALUE' THEN 9223372036854775807
                WHEN bound ~ '^[0-9]+$' THEN bound::bigint
                ELSE ('x' || left(replace(bound, '-', ''), 12))::bit(48)::bigint / 86400000 END
$$;
COMMENT ON FUNCTION tpro.partition_key(pg_catalog.text) IS 'the key that a bound, an id or a uid says';

CREATE FUNCTION tpro.partitions(service pg_catalog.text)
    RETURNS TABLE (table_name pg_catalog.text, part pg_catalog.oid, low pg_catalog.int8, high pg_catalog.int8,
                   words pg_catalog.text)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT k.table_name, k.part, k.low, k.high, tpro.partition_words(k.table_name, k.low, k.high)
      FROM (SELECT p.table_name, p.part, tpro.partition_key(p.bounds[1]) AS low, tpro.partition_key(p.bounds[2]) AS high
              FROM (SELECT t.relname::text AS table_name, c.oid AS part,
                           regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                        '^FOR VALUES FROM \(''?([^'']+)''?\) TO \(''?([^'']+)''?\)$') AS bounds
                      FROM pg_class t
                      JOIN pg_inherits i ON i.inhparent = t.oid AND to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true'
                      JOIN pg_class c ON c.oid = i.inhrelid
                     WHERE t.relnamespace = tpro.sender_schema(service)::oid AND t.relkind = 'p'
                       AND t.relname IN ('mq_publish', 'mq_reply', 'mq_receive', 'mq_outcome')) p) k
$$;
COMMENT ON FUNCTION tpro.partitions(pg_catalog.text) IS
    'the partitions of a service and what is in each; low is null of one that tpro has not made; 3F000 unknown';

CREATE FUNCTION tpro.next_key(service pg_catalog.text, table_name pg_catalog.text) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    coming bigint;
BEGIN
    IF next_key.table_name IN ('mq_receive', 'mq_outcome') THEN
        -- By the database's clock: by that of a host that is days ahead the inbox of today would go.
        RETURN floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint + 1;
    END IF;
    EXECUTE format('SELECT s.last_value + s.is_called::integer FROM %s.mq_publish_id_seq s', tpro.sender_schema(service))
        INTO coming;
    RETURN coming;
END
$$;
COMMENT ON FUNCTION tpro.next_key(pg_catalog.text, pg_catalog.text) IS
    'the first key that is wholly ahead: the next id, or tomorrow; 3F000 unknown';

-- What a partition is still there for. A settled message is kept for some seconds after its last reply, the inbox for some
-- seconds after the uid's time, but never shorter than a repeat may take: two days of redelivery, a budget of one and an hour.
CREATE FUNCTION tpro.partition_kept(service pg_catalog.text, table_name pg_catalog.text, part pg_catalog.regclass,
                                    low pg_catalog.int8, high pg_catalog.int8, keep pg_catalog.int8, closely pg_catalog.bool)
    RETURNS pg_catalog.text
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(service)::text;
    coming bigint := tpro.next_key(service, partition_kept.table_name);
    replies text := format('SELECT r.replied_at FROM %s.mq_reply r WHERE r.mq_id >= %s AND r.mq_id < %s', schema_name, low, high);
    oldest timestamptz := clock_timestamp() - make_interval(secs => keep);
    found boolean;
BEGIN
    IF partition_kept.table_name IN ('mq_receive', 'mq_outcome') THEN
        IF high > coming - 1 - ceil(greatest(keep, 262800) / 86400.0)::bigint THEN
            RETURN 'young';
        END IF;
        RETURN '';
    END IF;
    IF high > coming THEN
        RETURN 'ahead';
    END IF;
    -- It is empty, and there for messages that are sent later.
    IF pg_relation_size(part) = 0 AND tpro.has_later(schema_name, low, high) THEN
        RETURN 'unsettled';
    END IF;
    IF partition_kept.table_name = 'mq_reply' THEN
        IF EXISTS (SELECT FROM tpro.partitions(service) p
                    WHERE p.table_name = 'mq_publish' AND p.low < partition_kept.high AND partition_kept.low < p.high
                      AND NOT (pg_relation_size(p.part) = 0 AND tpro.has_later(schema_name, p.low, p.high))) THEN
            RETURN 'young';
        END IF;
        RETURN '';
    END IF;
    -- The last one tells most of the time, and is found by the index.
    EXECUTE format('SELECT EXISTS (SELECT FROM (%s ORDER BY r.mq_id DESC LIMIT 1) r WHERE r.replied_at > $1)', replies)
        INTO found USING oldest;
    IF found THEN
        RETURN 'young';
    END IF;
    IF closely THEN
        -- The condition on mq_id names the one partition of the replies that can have them.
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s p WHERE NOT EXISTS
                          (SELECT FROM %s.mq_reply r WHERE r.mq_id = p.id AND r.mq_id >= %s AND r.mq_id < %s))',
                       part, schema_name, low, high) INTO found;
        IF found THEN
            RETURN 'unsettled';
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM (%s) r WHERE r.replied_at > $1)', replies) INTO found USING oldest;
        IF found THEN
            RETURN 'young';
        END IF;
    END IF;
    RETURN '';
END
$$;
COMMENT ON FUNCTION tpro.partition_kept(pg_catalog.text, pg_catalog.text, pg_catalog.regclass, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.bool) IS
    'why a partition must stay: ahead, young or unsettled; empty if it may go';

CREATE FUNCTION tpro.lock_soon(relation pg_catalog.regclass, mode pg_catalog.text, tries pg_catalog.int4) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
    -- Whoever comes behind us waits as long.
    SET lock_timeout = '50ms'
AS $$
BEGIN
    FOR try IN 1 .. tries LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN %s MODE', relation, mode);
            RETURN true;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try < tries THEN
                -- Others get a turn, and a moment without users may come.
                PERFORM pg_sleep(0.3);
            END IF;
        END;
    END LOOP;
    RETURN false;
END
$$;
COMMENT ON FUNCTION tpro.lock_soon(pg_catalog.regclass, pg_catalog.text, pg_catalog.int4) IS
    'tries to lock a table, 50 ms each time; whether it is locked';

-- What a partition must not be changed under: a snapshot of the caller's would hide what was committed since.
CREATE FUNCTION tpro.must_maintain(service pg_catalog.text, table_name pg_catalog.text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM tpro.must_serve(service);
    IF must_maintain.table_name IS NULL
       OR must_maintain.table_name NOT IN ('mq_publish', 'mq_reply', 'mq_receive', 'mq_outcome') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a service has no partitioned table of that name';
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE active_sql_transaction USING
            MESSAGE = 'what is committed meanwhile cannot be seen in this transaction',
            HINT = 'Maintain partitions in transactions of isolation level READ COMMITTED.';
    END IF;
END
$$;
COMMENT ON FUNCTION tpro.must_maintain(pg_catalog.text, pg_catalog.text) IS
    'refuses a caller who may not change partitions of this table, from within a function that runs with its owner''s rights; 22023 no such table, 25001 above READ COMMITTED, else errors as tpro.lead';

CREATE FUNCTION tpro.must_be_unreferenced(parent pg_catalog.regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    foreign_key record;
BEGIN
    SELECT f.conname, f.conrelid::regclass AS relation INTO foreign_key FROM pg_constraint f
     WHERE f.contype = 'f' AND f.conparentid = 0
       AND (f.confrelid = parent OR f.confrelid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = parent))
     ORDER BY f.oid LIMIT 1;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('foreign key %I of table %s keeps the partitions of %s from being changed',
                             foreign_key.conname, foreign_key.relation, parent),
            HINT = format('ALTER TABLE %s DROP CONSTRAINT %I. Messages go after RETENTION; nothing can refer to them for ever.',
                          foreign_key.relation, foreign_key.conname);
    END IF;
END
$$;
COMMENT ON FUNCTION tpro.must_be_unreferenced(pg_catalog.regclass) IS
    'refuses a partitioned table that a foreign key refers to, and names it; 55000';

CREATE FUNCTION tpro.make_partition(schema_name pg_catalog.text, table_name pg_catalog.text, name pg_catalog.text,
                                    low pg_catalog.int8, high pg_catalog.int8) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET default_tablespace = ''
    SET default_table_access_method = 'heap'
AS $$
BEGIN
    EXECUTE format('CREATE TABLE %1$s.%3$I (LIKE %1$s.%2$I INCLUDING ALL)', schema_name, make_partition.table_name, name);
    PERFORM tpro.name_partition(schema_name, make_partition.table_name, name, low, high);
END
$$;
COMMENT ON FUNCTION tpro.make_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS
    'makes the table of a partition, which is attached later';

CREATE FUNCTION tpro.name_partition(schema_name pg_catalog.text, table_name pg_catalog.text, name pg_catalog.text,
                                    low pg_catalog.int8, high pg_catalog.int8) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('COMMENT ON TABLE %s.%I IS %L', schema_name, name,
                   name_partition.table_name || ', ' || tpro.partition_words(name_partition.table_name, low, high));
END
$$;
COMMENT ON FUNCTION tpro.name_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS
    'says in its comment what is in a partition';

CREATE FUNCTION tpro.attach_partition(schema_name pg_catalog.text, table_name pg_catalog.text, name pg_catalog.text,
                                      low pg_catalog.int8, high pg_catalog.int8) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %1$s.%2$I ATTACH PARTITION %1$s.%3$I FOR VALUES FROM (%4$s) TO (%5$s)',
                   schema_name, attach_partition.table_name, name,
                   tpro.partition_bound(attach_partition.table_name, low),
                   tpro.partition_bound(attach_partition.table_name, high));
END
$$;
COMMENT ON FUNCTION tpro.attach_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS
    'attaches a partition';

-- Puts right what others have done, and what a release before this one may have left: a partition that is detached, or half
-- detached; a constraint that bounds one from above; and keys for which there is no partition, since somebody dropped it.
CREATE FUNCTION tpro.mend_partitions(service pg_catalog.text, table_name pg_catalog.text, keep pg_catalog.int8)
    RETURNS TABLE (held pg_catalog.bool, said pg_catalog.text)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    SET lock_timeout = '50ms'
AS $$
DECLARE
    latest CONSTANT bigint := 9223372036854775807;
    schema_name text;
    parent regclass;
    part record;
    bound record;
    why text;
BEGIN
    PERFORM tpro.must_maintain(service, mend_partitions.table_name);
    schema_name := tpro.sender_schema(service)::text;
    parent := format('%s.%I', schema_name, mend_partitions.table_name)::regclass;

    FOR part IN SELECT c.oid::regclass AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = parent AND to_jsonb(i) ->> 'inhdetachpending' = 'true' LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s DETACH PARTITION %s FINALIZE', parent, part.name);
        EXCEPTION WHEN lock_not_available THEN
            RETURN QUERY SELECT true, format('%s is half detached: open transactions use it', part.name);
        END;
    END LOOP;

    -- Release 0.1.0 bounded the overflow partition before it was put right; where that failed, the bound refused rows.
    FOR part IN SELECT c.conrelid::regclass AS name FROM pg_constraint c JOIN pg_inherits i ON i.inhrelid = c.conrelid
                 WHERE i.inhparent = parent AND c.conname = 'tpro_bound' AND c.contype = 'c' LOOP
        IF tpro.lock_soon(part.name, 'ACCESS EXCLUSIVE', 10) THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT tpro_bound', part.name);
            RETURN QUERY SELECT false, format('dropped constraint tpro_bound of %s, which could refuse rows', part.name);
        ELSE
            RETURN QUERY SELECT true, format('%s has a constraint tpro_bound that can refuse rows: open transactions use it', part.name);
        END IF;
    END LOOP;

    FOR part IN
        SELECT l.relation, l.name, l.low, l.high, tpro.partition_words(mend_partitions.table_name, l.low, l.high) AS words
          FROM (SELECT c.oid::regclass AS relation, c.relname::text AS name,
                       coalesce(tpro.partition_unlabel(mend_partitions.table_name, b.labels[1]),
                                (SELECT max(p.high) FROM tpro.partitions(service) p
                                  WHERE p.table_name = mend_partitions.table_name), 0) AS low,
                       coalesce(tpro.partition_unlabel(mend_partitions.table_name, b.labels[2]), latest) AS high
                  FROM pg_class c
                  JOIN regexp_match(c.relname::text, '^' || mend_partitions.table_name || '_(?:p(\d+)_(\d+)|rest)$') AS b(labels)
                    ON b.labels IS NOT NULL
                 WHERE c.relnamespace = schema_name::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
                   AND c.relowner = 'tpro_owner'::regrole) l
         ORDER BY l.low
    LOOP
        IF NOT tpro.lock_soon(part.relation, 'ACCESS EXCLUSIVE', 1) THEN
            RETURN QUERY SELECT true, format('%s is detached: open transactions use it', part.relation);
            CONTINUE;
        END IF;
        why := tpro.partition_kept(service, mend_partitions.table_name, part.relation, part.low, part.high, keep, true);
        IF why = '' OR pg_relation_size(part.relation) = 0 AND EXISTS (
            SELECT FROM tpro.partitions(service) p
             WHERE p.table_name = mend_partitions.table_name AND p.low < part.high AND part.low < p.high) THEN
            EXECUTE format('DROP TABLE %s', part.relation);
            RETURN QUERY SELECT false, format('dropped %s, %s, which was detached', mend_partitions.table_name, part.words);
        ELSE
            BEGIN
                PERFORM tpro.attach_partition(schema_name, mend_partitions.table_name, part.name, part.low, part.high);
            EXCEPTION WHEN invalid_object_definition THEN
                RETURN QUERY SELECT true, format('%s is detached and is %s, but other partitions have its keys: detach these, or drop it',
                                                 part.relation, why);
                CONTINUE;
            END;
            -- DETACH CONCURRENTLY has left it the bounds as a constraint.
            FOR bound IN SELECT c.conname FROM pg_constraint c
                          WHERE c.conrelid = part.relation AND c.contype = 'c' AND c.coninhcount = 0 LOOP
                EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', part.relation, bound.conname);
            END LOOP;
            IF mend_partitions.table_name = 'mq_publish' THEN
                -- The dispatcher may have passed them while they were off; it reads them by a new transaction id.
                EXECUTE format('UPDATE %s u SET tx = pg_current_xact_id() WHERE NOT EXISTS
                                  (SELECT FROM %s.mq_reply r WHERE r.mq_id = u.id AND r.mq_id >= %s AND r.mq_id < %s)',
                               part.relation, schema_name, part.low, part.high);
            END IF;
            RETURN QUERY SELECT false, format('attached %s, %s, again: it was detached, and is %s', mend_partitions.table_name,
                                              part.words, why);
        END IF;
    END LOOP;

    -- The keys of a partition that went by retention stay without one.
    FOR part IN
        SELECT h.low, h.high, tpro.partition_words(mend_partitions.table_name, h.low, h.high) AS words
          FROM (SELECT coalesce(max(p.high) OVER (ORDER BY p.low, p.high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS low,
                       p.low AS high
                  FROM (SELECT p.low, p.high FROM tpro.partitions(service) p WHERE p.table_name = mend_partitions.table_name
                        UNION ALL SELECT latest, latest) p) h
         WHERE h.low < h.high
    LOOP
        CONTINUE WHEN tpro.partition_kept(service, mend_partitions.table_name, parent, part.low, part.high, 0, false) = '';
        PERFORM tpro.make_partition(schema_name, mend_partitions.table_name,
                                    tpro.partition_name(mend_partitions.table_name, part.low, part.high), part.low, part.high);
        PERFORM tpro.attach_partition(schema_name, mend_partitions.table_name,
                                      tpro.partition_name(mend_partitions.table_name, part.low, part.high), part.low, part.high);
        RETURN QUERY SELECT false, format(
            CASE WHEN tpro.has_later(schema_name, part.low, part.high)
                 THEN 'made a partition of %s for %s, of which messages are to be sent later; if somebody has dropped it, what was in it is lost'
                 ELSE 'made a partition of %s for %s: there was none, somebody must have dropped it, and what was in it is lost' END,
            mend_partitions.table_name, part.words);
    END LOOP;
END
$$;
ALTER FUNCTION tpro.mend_partitions(pg_catalog.text, pg_catalog.text, pg_catalog.int8) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.mend_partitions(pg_catalog.text, pg_catalog.text, pg_catalog.int8) IS
    'attaches or drops partitions of a service that are detached, drops constraints that could refuse rows, makes partitions for keys that have none; what it has done, and what others hold; 22023 no such table, 25001 above READ COMMITTED, else errors as tpro.lead';

-- SECURITY DEFINER, of a superuser: for an ATTACH PostgreSQL takes a valid constraint as proof that no row is beyond the bounds, and
-- otherwise reads every row while everybody waits (150 ms for a million rows in memory). The caller has the table for itself, and
-- has looked by the index that no row is. A constraint that is validated beside everything else would not do: until the ATTACH it
-- could refuse an INSERT.
CREATE FUNCTION tpro.trust_bound(part pg_catalog.regclass) RETURNS void
    LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE pg_constraint SET convalidated = true
     WHERE conrelid = part AND contype = 'c' AND conname = 'tpro_bound' AND NOT convalidated
       AND EXISTS (SELECT FROM pg_class c WHERE c.oid = part AND c.relowner = 'tpro_owner'::regrole)
$$;
COMMENT ON FUNCTION tpro.trust_bound(pg_catalog.regclass) IS
    'takes the constraint tpro_bound of a table of tpro_owner for proved; for tpro.make_partitions, which has proved it by the index';

-- The last partition that is used may be much wider than wanted: the overflow partition, which has no end, or one of another width.
-- It is cut a little beyond its last key, and those after it, which are empty, are replaced. Tables are made before the lock is asked
-- for; under the lock there are only changes of the catalogue, whatever the tables hold.
CREATE FUNCTION tpro.make_partitions(service pg_catalog.text, table_name pg_catalog.text, width pg_catalog.int8)
    RETURNS SETOF pg_catalog.text
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    SET lock_timeout = '50ms' SET enable_seqscan = off
AS $$
DECLARE
    latest CONSTANT bigint := 9223372036854775807;
    by_day CONSTANT boolean := make_partitions.table_name IN ('mq_receive', 'mq_outcome');
    key_type CONSTANT text := CASE WHEN by_day THEN 'uuid' ELSE 'bigint' END;
    key_column CONSTANT text := CASE make_partitions.table_name WHEN 'mq_publish' THEN 'id' WHEN 'mq_reply' THEN 'mq_id' ELSE 'uid' END;
    -- A day has eight digits.
    greatest_key CONSTANT bigint := CASE WHEN by_day THEN 2932000 ELSE 4611686018427387904 END;
    rest_name CONSTANT text := make_partitions.table_name || '_rest';
    -- How many are made ahead; more are made when fewer than half of them are left.
    wanted CONSTANT integer := CASE WHEN by_day THEN 7 ELSE 4 END;
    schema_name text;
    parent regclass;
    coming bigint;
    rest record;
    used record;
    bound bigint;
    cut boolean;
    cut_rest boolean;
    first bigint;
    low bigint;
    high bigint;
    ahead bigint;
    lows bigint[] := '{}';
    highs bigint[] := '{}';
    names text[] := '{}';
    name text;
    gone record;
    beyond boolean;
BEGIN
    PERFORM tpro.must_maintain(service, make_partitions.table_name);
    IF width < 1 OR width > 1000000000 OR by_day <> (width = 1) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a partition has 2 to 1000000000 ids, or one day';
    END IF;
    schema_name := tpro.sender_schema(service)::text;
    parent := format('%s.%I', schema_name, make_partitions.table_name)::regclass;
    PERFORM tpro.must_be_unreferenced(parent);
    coming := tpro.next_key(service, make_partitions.table_name);
    SELECT p.part::regclass AS name, p.low, p.high INTO rest FROM tpro.partitions(service) p
     WHERE p.table_name = make_partitions.table_name ORDER BY p.high DESC NULLS FIRST LIMIT 1;
    IF rest.high IS DISTINCT FROM latest THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the last partition of %s is not the one for all that comes after the others', parent),
            HINT = format('Detach the partition %s, which tpro has not made.', rest.name);
    END IF;

    -- Empty is one that no row was ever put into, committed or not.
    SELECT p.part::regclass AS name, p.low, p.high INTO used FROM tpro.partitions(service) p
     WHERE p.table_name = make_partitions.table_name AND (p.low < coming OR pg_relation_size(p.part) > 0)
     ORDER BY p.low DESC LIMIT 1;
    IF used.high > coming THEN
        EXECUTE format('SELECT tpro.partition_key(r.%1$I::text) FROM %2$s r ORDER BY r.%1$I DESC LIMIT 1', key_column, used.name)
            INTO bound;
        bound := greatest(coming, coalesce(bound, 0) + 1);
        IF bound > greatest_key THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('%s has a key that leaves no room for partitions after it: %s', used.name,
                                 tpro.partition_words(make_partitions.table_name, bound - 1, latest)),
                HINT = 'Delete that row.';
        END IF;
        -- Its rows may all be rolled back, and the sequence set back before it: it ends behind its own begin all the same.
        bound := ((greatest(bound, used.low) + width) / width + 1) * width;
    END IF;
    cut := coalesce(bound < used.high AND used.high - used.low > width AND pg_relation_size(used.name) > 0, false);
    cut_rest := cut AND used.high = latest;
    IF cut THEN
        first := bound;
        ahead := 0;
    ELSE
        bound := NULL;
        SELECT min(p.low) INTO first FROM tpro.partitions(service) p
         WHERE p.table_name = make_partitions.table_name AND p.high < latest AND p.high - p.low <> width
           AND p.high > coming AND p.low >= coalesce(used.high, 0);
        -- One that is passed by the sequence and never was written to is cut like those ahead.
        IF used.high > coming AND pg_relation_size(used.name) = 0 AND used.high - used.low <> width THEN
            first := used.low;
        END IF;
        SELECT count(*) INTO ahead FROM tpro.partitions(service) p
         WHERE p.table_name = make_partitions.table_name AND p.low >= coming AND p.high <= coalesce(first, rest.low);
        IF first IS NULL AND ahead >= (wanted + 1) / 2 THEN
            RETURN;
        END IF;
    END IF;
    low := coalesce(first, rest.low);
    high := (greatest(low, coming) / width + 1) * width;
    WHILE ahead < wanted LOOP
        lows := lows || low;
        highs := highs || high;
        ahead := ahead + (low >= coming)::integer;
        low := high;
        high := high + width;
    END LOOP;
    IF NOT cut AND first IS NOT NULL AND highs = (
        SELECT array_agg(p.high ORDER BY p.high) FROM tpro.partitions(service) p
         WHERE p.table_name = make_partitions.table_name AND p.low >= first AND p.high < latest) THEN
        -- The first was cut to fit, and the others are those that are wanted.
        RETURN;
    END IF;

    FOR n IN 1 .. cardinality(lows) LOOP
        name := tpro.partition_name(make_partitions.table_name, lows[n], highs[n]);
        IF to_regclass(format('%s.%I', schema_name, name)) IS NOT NULL THEN
            name := name || '_next';
        END IF;
        names := names || name;
        PERFORM tpro.make_partition(schema_name, make_partitions.table_name, name, lows[n], highs[n]);
    END LOOP;
    IF cut_rest THEN
        PERFORM tpro.make_partition(schema_name, make_partitions.table_name, rest_name || '_next', low, latest);
    END IF;
    IF NOT tpro.lock_soon(parent, 'ACCESS EXCLUSIVE', 10) THEN
        RAISE lock_not_available USING MESSAGE = 'open transactions use the table';
    END IF;

    -- From here on nobody uses the table. What was empty may not be any more.
    FOR gone IN SELECT p.part::regclass AS name, p.high FROM tpro.partitions(service) p
                 WHERE p.table_name = make_partitions.table_name AND p.low >= coalesce(first, rest.low)
                   AND NOT (p.high = latest AND cut_rest) LOOP
        IF pg_relation_size(gone.name) > 0 THEN
            RAISE lock_not_available USING MESSAGE = format('%s has got rows meanwhile', gone.name);
        END IF;
        EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, gone.name);
        IF gone.high < latest THEN
            EXECUTE format('DROP TABLE %s', gone.name);
        END IF;
    END LOOP;
    IF cut THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s r WHERE r.%I >= %s)', used.name, key_column,
                       tpro.partition_bound(make_partitions.table_name, bound)) INTO beyond;
        IF beyond THEN
            RAISE lock_not_available USING MESSAGE = format('%s has got rows beyond the bound meanwhile', used.name);
        END IF;
        name := tpro.partition_name(make_partitions.table_name, used.low, bound);
        EXECUTE format('ALTER TABLE %1$s ADD CONSTRAINT tpro_bound CHECK (%2$I < %3$s::%4$s%5$s) NOT VALID', used.name, key_column,
                       tpro.partition_bound(make_partitions.table_name, bound), key_type,
                       CASE WHEN used.low > 0 THEN format(' AND %I >= %s::%s', key_column,
                           tpro.partition_bound(make_partitions.table_name, used.low), key_type) ELSE '' END);
        PERFORM tpro.trust_bound(used.name);
        EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, used.name);
        EXECUTE format('ALTER TABLE %s RENAME TO %I', used.name, name);
        PERFORM tpro.attach_partition(schema_name, make_partitions.table_name, name, used.low, bound);
        EXECUTE format('ALTER TABLE %s.%I DROP CONSTRAINT tpro_bound', schema_name, name);
        PERFORM tpro.name_partition(schema_name, make_partitions.table_name, name, used.low, bound);
    END IF;
    IF cut_rest THEN
        EXECUTE format('ALTER TABLE %s.%I RENAME TO %I', schema_name, rest_name || '_next', rest_name);
    ELSE
        PERFORM tpro.name_partition(schema_name, make_partitions.table_name, rest_name, low, latest);
    END IF;
    FOR n IN 1 .. cardinality(lows) LOOP
        name := tpro.partition_name(make_partitions.table_name, lows[n], highs[n]);
        IF names[n] <> name THEN
            EXECUTE format('ALTER TABLE %s.%I RENAME TO %I', schema_name, names[n], name);
        END IF;
        PERFORM tpro.attach_partition(schema_name, make_partitions.table_name, name, lows[n], highs[n]);
    END LOOP;
    PERFORM tpro.attach_partition(schema_name, make_partitions.table_name, rest_name, low, latest);
    RETURN QUERY SELECT format('made %s partitions ahead for %s', cardinality(lows), make_partitions.table_name)
        || coalesce(CASE used.high WHEN latest THEN '; the overflow partition had rows and is now '
                                   ELSE '; the last one that is used was wider and is now ' END
                    || tpro.partition_words(make_partitions.table_name, used.low, bound), '');
END
$$;
ALTER FUNCTION tpro.make_partitions(pg_catalog.text, pg_catalog.text, pg_catalog.int8) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.make_partitions(pg_catalog.text, pg_catalog.text, pg_catalog.int8) IS
    'makes partitions ahead, of so many ids or of one day, where fewer than half of what is wanted are left; what it has done; 55P03 others use the table, 55000 a foreign key or a foreign partition is in the way, 22023 no such table or width, 25001 above READ COMMITTED, else errors as tpro.lead';

-- Everything that is committed into the partition is seen: from the look on nobody writes to it. Whoever has an id of it and has not
-- written yet uses the outbox, which is then not to be had; what that one writes keeps the partition.
CREATE FUNCTION tpro.drop_partition(service pg_catalog.text, part pg_catalog.oid, keep pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    SET lock_timeout = '50ms'
AS $$
DECLARE
    one record;
    parent regclass;
    schema_name text;
    why text;
BEGIN
    PERFORM tpro.must_maintain(service, 'mq_publish');
    schema_name := tpro.sender_schema(service)::text;
    SELECT p.table_name, p.part::regclass AS name, p.low, p.high INTO one FROM tpro.partitions(service) p
     WHERE p.part = drop_partition.part AND p.low IS NOT NULL;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    parent := format('%s.%I', schema_name, one.table_name)::regclass;
    why := tpro.partition_kept(service, one.table_name, one.name, one.low, one.high, keep, false);
    IF why <> '' THEN
        RETURN why;
    END IF;
    PERFORM tpro.must_be_unreferenced(parent);
    IF NOT tpro.lock_soon(one.name, 'SHARE', 1) THEN
        RETURN 'held';
    END IF;
    why := tpro.partition_kept(service, one.table_name, one.name, one.low, one.high, keep, true);
    IF why <> '' THEN
        RETURN why;
    END IF;
    IF one.table_name = 'mq_publish' THEN
        EXECUTE format('DELETE FROM %s.mq_reply_fault f WHERE f.mq_id >= %s AND f.mq_id < %s', schema_name, one.low, one.high);
    END IF;
    IF tpro.lock_soon(parent, 'ACCESS EXCLUSIVE', 10) THEN
        EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, one.name);
        EXECUTE format('DROP TABLE %s', one.name);
        -- Messages with ids of it may still wait for their time, or be published in a transaction that is open; and one that has just gone
        -- gets its reply.
        IF one.table_name IN ('mq_publish', 'mq_reply') AND (
            tpro.has_later(schema_name, one.low, one.high)
            OR EXISTS (SELECT FROM pg_locks l WHERE l.relation = to_regclass(schema_name || '.mq_later') AND l.mode = 'RowExclusiveLock'
                          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                          AND l.pid IS DISTINCT FROM pg_backend_pid())
            OR one.table_name = 'mq_reply'
               AND EXISTS (SELECT FROM tpro.partitions(service) p
                            WHERE p.table_name = 'mq_publish' AND p.low < one.high AND one.low < p.high)) THEN
            PERFORM tpro.make_partition(schema_name, one.table_name, tpro.partition_name(one.table_name, one.low, one.high), one.low, one.high);
            PERFORM tpro.attach_partition(schema_name, one.table_name, tpro.partition_name(one.table_name, one.low, one.high), one.low, one.high);
        END IF;
        RETURN 'dropped';
    END IF;
    -- Readers that overlap could keep the table from being had for ever. What they do not read goes at least by its rows.
    IF pg_relation_size(one.name) > 0 AND tpro.lock_soon(one.name, 'ACCESS EXCLUSIVE', 1) THEN
        EXECUTE format('TRUNCATE TABLE ONLY %s', one.name);
        RETURN 'emptied';
    END IF;
    RETURN 'held';
END
$$;
ALTER FUNCTION tpro.drop_partition(pg_catalog.text, pg_catalog.oid, pg_catalog.int8) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.drop_partition(pg_catalog.text, pg_catalog.oid, pg_catalog.int8) IS
    'drops a partition of a service if all of it was settled so many seconds ago, or is so old in the inbox: dropped, emptied (readers keep the empty table for now), held by others, or why it is kept: ahead, young, unsettled; gone; 55000 a foreign key is in the way, 25001 above READ COMMITTED, else errors as tpro.lead';

-- Row by row, and not by partitions of a day: a primary key over partitions would have to contain the day, and one key could be held in
-- two of them. Rows that others have locked are left for the next call.
CREATE FUNCTION tpro.drop_dedup_keys(service pg_catalog.text, at_most pg_catalog.int4) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
    keys text;
    dropped bigint;
BEGIN
    PERFORM tpro.must_serve(service);
    keys := tpro.sender_schema(service)::text || '.mq_dedup';
    IF to_regclass(keys) IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('DELETE FROM %1$s d WHERE d.ctid = ANY (ARRAY(
                        SELECT k.ctid FROM %1$s k WHERE k.until <= $1 ORDER BY k.until LIMIT $2 FOR UPDATE SKIP LOCKED))', keys)
        USING clock_timestamp(), greatest(at_most, 0);
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END
$$;
ALTER FUNCTION tpro.drop_dedup_keys(pg_catalog.text, pg_catalog.int4) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.drop_dedup_keys(pg_catalog.text, pg_catalog.int4) IS
    'drops so many dedup keys of a service, at most, that hold no more; how many; errors as tpro.lead';

-- ---------------------------------------------------------------------------------------------------------------------
-- Handlers in SQL
-- ---------------------------------------------------------------------------------------------------------------------

-- The sidecar makes it by the names of its attributes, so that a later release can add one.
CREATE TYPE tpro.request_row AS (
    uid pg_catalog.uuid,
    space_name pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    sender pg_catalog.text,
    sender_instance pg_catalog.uuid,
    attempt pg_catalog.int4,
    deadline pg_catalog.timestamptz,
    language pg_catalog.text,
    headers pg_catalog.jsonb,
    traceparent pg_catalog.text,
    trace_id pg_catalog.text
);
COMMENT ON TYPE tpro.request_row IS 'what a handler in SQL knows of its message, beside the body';
COMMENT ON COLUMN tpro.request_row.uid IS 'identity of the message, the same in every run of its handler';
COMMENT ON COLUMN tpro.request_row.space_name IS 'first token of the subject';
COMMENT ON COLUMN tpro.request_row.service_name IS 'second token: the service that answers';
COMMENT ON COLUMN tpro.request_row.entity IS 'third token';
COMMENT ON COLUMN tpro.request_row.method_name IS 'fourth token';
COMMENT ON COLUMN tpro.request_row.sender IS 'the service that asks; null: a stranger';
COMMENT ON COLUMN tpro.request_row.sender_instance IS 'the database of that service, by its tpro.instance()';
COMMENT ON COLUMN tpro.request_row.attempt IS 'which attempt of the requester it is, from 1';
COMMENT ON COLUMN tpro.request_row.deadline IS 'when the handler is stopped';
COMMENT ON COLUMN tpro.request_row.language IS 'the language the reply should speak, as in ru-RU';
COMMENT ON COLUMN tpro.request_row.headers IS 'the headers of the requester''s row';
COMMENT ON COLUMN tpro.request_row.traceparent IS 'the span of the handler';
COMMENT ON COLUMN tpro.request_row.trace_id IS 'its trace, 32 hex digits';

CREATE FUNCTION tpro.handlers_of(service pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text;
BEGIN
    IF coalesce(handlers_of.service, nullif(current_setting('tpro.sender', true), '')) IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'no service is given',
            HINT = 'Pass service => ''<service>'', or SET tpro.sender = ''<service>''.';
    END IF;
    schema_name := tpro.sender_schema(handlers_of.service)::text;
    IF to_regclass(schema_name || '.mq_handler') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s is as an earlier release has made it, which knew no handlers in SQL', schema_name),
            HINT = format('SELECT tpro.upgrade_service(%L).', left(schema_name, -8));
    END IF;
    RETURN schema_name;
END
$$;
COMMENT ON FUNCTION tpro.handlers_of(pg_catalog.text) IS
    'the schema in which the handlers of a service are kept; 55000 no service, or one of an earlier release, 3F000 unknown';

-- The rules for a function that the service's sidecar is to run. It is kept by its name: a column of type regprocedure would block
-- pg_upgrade.
CREATE FUNCTION tpro.must_run(
    what pg_catalog.text,
    given pg_catalog.regprocedure,
    sidecar pg_catalog.text,
    argument_types pg_catalog.text,
    argument_list pg_catalog.text,
    result_type pg_catalog.text,
    example pg_catalog.text
) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    f record;
BEGIN
    IF given IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('%s must be a function, not null', what),
            HINT = format('Name it with the types of its arguments: ''%s(%s)''.', example, argument_types);
    END IF;
    SELECT p.*, n.nspname, r.rolname, r.rolsuper, format('%I.%I', n.nspname, p.proname) AS name,
           (SELECT coalesce(string_agg(format_type(a.type, NULL), ', ' ORDER BY a.n), '')
              FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, n)) AS arguments
      INTO f
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
     WHERE p.oid = given;
    IF NOT FOUND THEN
        RAISE undefined_function USING
            MESSAGE = format('%s must be a function, and no function has the oid %s', what, given::oid),
            HINT = format('Name it with the types of its arguments: ''%s(%s)''.', example, argument_types);
    ELSIF f.prokind <> 'f' OR f.proretset OR format_type(f.prorettype, NULL) <> result_type OR f.arguments <> argument_types THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('%s must be a function (%s) RETURNS %s, and %s is a %s (%s)%s', what, argument_types, result_type, f.name,
                             CASE f.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' ELSE 'function' END,
                             f.arguments, ' RETURNS ' || pg_get_function_result(f.oid)),
            HINT = format('CREATE FUNCTION %s(%s) RETURNS %s ...', f.name, argument_list, result_type);
    ELSIF NOT has_schema_privilege(sidecar, f.pronamespace, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s %s is in a schema that role %s may not use', what, f.name, sidecar),
            HINT = format('GRANT USAGE ON SCHEMA %I TO %I.', f.nspname, sidecar);
    ELSIF NOT has_function_privilege(sidecar, f.oid, 'EXECUTE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s %s may not be executed by role %s', what, f.name, sidecar),
            HINT = format('GRANT EXECUTE ON FUNCTION %s(%s) TO %I.', f.name, argument_types, sidecar);
    ELSIF f.prosecdef AND f.rolsuper
          AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS setting WHERE starts_with(setting, 'search_path=')) THEN
        -- The service could put an object of its own in front of what the function means, and be a superuser by it.
        RAISE insufficient_privilege USING
            MESSAGE = format('%s %s runs with the rights of superuser %s, and pins no search_path', what, f.name, f.rolname),
            HINT = format('ALTER FUNCTION %s(%s) SET search_path = pg_catalog, pg_temp, or SECURITY INVOKER.', f.name, argument_types);
    END IF;
    RETURN f.name;
END
$$;
COMMENT ON FUNCTION tpro.must_run(pg_catalog.text, pg_catalog.regprocedure, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'the name of a function that a service''s sidecar may run, with these arguments and this result; 22023 another kind, 42883 none, 42501 the sidecar may not';

-- It has the rights of who calls it: to write into the table mq_handler of the service. Who may do that has the sidecar run functions
-- with the rights of the service.
CREATE FUNCTION tpro.handle(
    entity pg_catalog.text,
    method_name pg_catalog.text,
    handler pg_catalog.regprocedure,
    mode pg_catalog.text DEFAULT 'transactional',
    timeout pg_catalog.int4 DEFAULT NULL,
    service pg_catalog.text DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.handlers_of(handle.service);
    sidecar CONSTANT text := left(schema_name, -8) || '_sidecar';
    name text;
BEGIN
    IF (handle.mode IN ('transactional', 'stateless')) IS NOT TRUE THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('mode must be transactional or stateless, not %s', coalesce(quote_literal(left(handle.mode, 40)), 'null')),
            HINT = 'transactional: the function''s changes and the answer are one transaction, which takes effect once. '
                   'stateless: a repeat of the message runs again.';
    ELSIF handle.timeout NOT BETWEEN 1 AND 86400 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('timeout must be 1 to 86400 seconds, not %s', handle.timeout),
            HINT = 'Leave it out, or give null: then a message has the time that its requester waits.';
    END IF;
    name := tpro.must_run('handler', handle.handler, sidecar, 'jsonb, tpro.request_row', 'body jsonb, request tpro.request_row',
                          'jsonb', 'price');
    EXECUTE format(
        'INSERT INTO %s.mq_handler (entity, method_name, handler, mode, timeout) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (entity, method_name) DO UPDATE
            SET handler = excluded.handler, mode = excluded.mode, timeout = excluded.timeout, since = excluded.since', schema_name)
        USING handle.entity, handle.method_name, name || '(jsonb,tpro.request_row)', handle.mode, handle.timeout;
END
$$;
COMMENT ON FUNCTION tpro.handle(pg_catalog.text, pg_catalog.text, pg_catalog.regprocedure, pg_catalog.text, pg_catalog.int4, pg_catalog.text) IS
    'has a function (body jsonb, request tpro.request_row) RETURNS jsonb answer a method of a service, from the next second on; 22023 bad value, 42883 no function, 42501 the service may not run it or the caller not say so, 55000 no service, 3F000 unknown';

CREATE FUNCTION tpro.unhandle(entity pg_catalog.text, method_name pg_catalog.text, service pg_catalog.text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.handlers_of(unhandle.service);
    removed bigint;
BEGIN
    EXECUTE format('DELETE FROM %s.mq_handler h WHERE h.entity = $1 AND h.method_name = $2', schema_name)
        USING unhandle.entity, unhandle.method_name;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed > 0;
END
$$;
COMMENT ON FUNCTION tpro.unhandle(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'takes back what tpro.handle has said of a method; whether there was something; 42501 not permitted, 55000 no service, 3F000 unknown';

-- Code and data travel in a field of the error that PostgreSQL writes into no log: they may be of a body.
CREATE FUNCTION tpro.raise_fault(code pg_catalog.int4, message pg_catalog.text, data pg_catalog.jsonb DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF raise_fault.code IS NULL OR raise_fault.code BETWEEN -32768 AND -32000 AND raise_fault.code <> -32602 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('code must be outside -32768 to -32000, which JSON-RPC reserves, or -32602 (invalid params), not %s',
                             coalesce(raise_fault.code::text, 'null'));
    ELSIF coalesce(raise_fault.message, '') = '' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'message must be a text',
            HINT = 'One sentence for the caller. It repeats no value of the body, since PostgreSQL logs it; data may.';
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'TP001',
        MESSAGE = raise_fault.message,
        DETAIL = format('The caller is told this as JSON-RPC error %s.', raise_fault.code),
        DATATYPE = (jsonb_build_object('code', raise_fault.code)
                    || CASE WHEN raise_fault.data IS NULL THEN '{}' ELSE jsonb_build_object('data', raise_fault.data) END)::text;
END
$$;
COMMENT ON FUNCTION tpro.raise_fault(pg_catalog.int4, pg_catalog.text, pg_catalog.jsonb) IS
    'ends a handler in SQL with an error that the caller sees: its code, its message and its data; raises TP001, or 22023 bad value';

-- ---------------------------------------------------------------------------------------------------------------------
-- Reply handlers in SQL
-- ---------------------------------------------------------------------------------------------------------------------

-- The sidecar makes it by the names of its attributes, so that a later release can add one.
CREATE TYPE tpro.reply_row AS (
    id pg_catalog.int8,
    uid pg_catalog.uuid,
    space_name pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    status pg_catalog.text,
    result pg_catalog.jsonb,
    error pg_catalog.jsonb,
    headers pg_catalog.jsonb,
    attempts pg_catalog.int4,
    responder pg_catalog.text,
    reply_to pg_catalog.text,
    traceparent pg_catalog.text,
    trace_id pg_catalog.text
);
COMMENT ON TYPE tpro.reply_row IS 'what a reply handler in SQL knows of a message and its reply';
COMMENT ON COLUMN tpro.reply_row.id IS 'number of the message in the outbox';
COMMENT ON COLUMN tpro.reply_row.uid IS 'identity of the message';
COMMENT ON COLUMN tpro.reply_row.space_name IS 'first token of the subject';
COMMENT ON COLUMN tpro.reply_row.service_name IS 'second token: the service that was asked';
COMMENT ON COLUMN tpro.reply_row.entity IS 'third token';
COMMENT ON COLUMN tpro.reply_row.method_name IS 'fourth token';
COMMENT ON COLUMN tpro.reply_row.status IS 'ok, error, timeout, unavailable or expired';
COMMENT ON COLUMN tpro.reply_row.result IS 'what the target answered, if the status is ok';
COMMENT ON COLUMN tpro.reply_row.error IS 'JSON-RPC error object, if it is not';
COMMENT ON COLUMN tpro.reply_row.headers IS 'headers of the reply';
COMMENT ON COLUMN tpro.reply_row.attempts IS 'how often the message was sent';
COMMENT ON COLUMN tpro.reply_row.responder IS 'the copy that answered';
COMMENT ON COLUMN tpro.reply_row.reply_to IS 'label to which the reply is published as well, when it is committed';
COMMENT ON COLUMN tpro.reply_row.traceparent IS 'the span of the reply handler';
COMMENT ON COLUMN tpro.reply_row.trace_id IS 'its trace, 32 hex digits';

CREATE FUNCTION tpro.callbacks_of(sender pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(callbacks_of.sender)::text;
BEGIN
    IF to_regclass(schema_name || '.mq_callback') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s is as an earlier release has made it, which knew no reply handlers in SQL', schema_name),
            HINT = format('SELECT tpro.upgrade_service(%L).', left(schema_name, -8));
    END IF;
    RETURN schema_name;
END
$$;
COMMENT ON FUNCTION tpro.callbacks_of(pg_catalog.text) IS
    'the schema in which the reply handlers of a service are kept; 55000 no sender, or one of an earlier release, 3F000 unknown';

-- The trigger bell calls it for a row with an on_reply, which has the form of two names then. It reads the catalogues only: who publishes
-- needs no right to the schema of the function, and it may be tpro_owner, in mq_once and tpro.retry.
CREATE FUNCTION tpro.reply_function(given pg_catalog.text, service_schema pg_catalog.oid) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names CONSTANT text[] := parse_ident(regexp_replace(reply_function.given, '[(]tpro[.]reply_row[)]$', ''));
    sidecar CONSTANT text := (SELECT left(n.nspname, -8) || '_sidecar' FROM pg_namespace n WHERE n.oid = reply_function.service_schema);
    chosen oid;
BEGIN
    -- Several functions may have the name. The one that takes a reply is chosen; if none does, any of them, which is refused below.
    SELECT p.oid INTO chosen
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = names[1] AND p.proname = names[2]
     ORDER BY p.proargtypes = ('tpro.reply_row'::regtype::oid)::text::oidvector DESC, p.oid LIMIT 1;
    IF chosen IS NULL THEN
        RAISE undefined_function USING
            MESSAGE = format('on_reply must be a function, and there is no function %I.%I', names[1], names[2]),
            HINT = 'CREATE FUNCTION shop.paid(reply tpro.reply_row) RETURNS void ..., and name it as shop.paid.';
    END IF;
    RETURN tpro.must_run('on_reply', chosen, sidecar, 'tpro.reply_row', 'reply tpro.reply_row', 'void', 'shop.paid') || '(tpro.reply_row)';
END
$$;
COMMENT ON FUNCTION tpro.reply_function(pg_catalog.text, pg_catalog.oid) IS
    'the function that a message names in on_reply, by the name that is kept; 22023 another kind, 42883 none, 42501 the sidecar may not';

-- It has the rights of who calls it: to write into the table mq_callback of the service. The dispatcher goes by what it has read, as long
-- as the highest number is the one that it knows. So who writes here is alone until the commit, each change draws a number, and what is
-- taken back leaves a row.
CREATE FUNCTION tpro.write_callback(
    schema_name pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    ok pg_catalog.text,
    failed pg_catalog.text
) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s.mq_callback IN SHARE ROW EXCLUSIVE MODE', write_callback.schema_name);
    EXECUTE format(
        'INSERT INTO %s.mq_callback (service_name, entity, method_name, ok, failed) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (service_name, entity, method_name) DO UPDATE
            SET ok = excluded.ok, failed = excluded.failed, number = DEFAULT, since = excluded.since', write_callback.schema_name)
        USING write_callback.service_name, write_callback.entity, write_callback.method_name, write_callback.ok, write_callback.failed;
END
$$;
COMMENT ON FUNCTION tpro.write_callback(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'writes what functions handle the replies of a method, and gives the row the next number; for tpro.on_reply and tpro.off_reply';

CREATE FUNCTION tpro.on_reply(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    ok pg_catalog.regprocedure,
    failed pg_catalog.regprocedure DEFAULT NULL,
    sender pg_catalog.text DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.callbacks_of(on_reply.sender);
    sidecar CONSTANT text := left(schema_name, -8) || '_sidecar';
    functions text[] := '{NULL,NULL}';
    one record;
BEGIN
    IF num_nonnulls(on_reply.ok, on_reply.failed) = 0 THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'ok or failed must be a function, and both are null',
            HINT = 'Name one with the types of its arguments: ''paid(tpro.reply_row)''. tpro.off_reply takes back what was said.';
    END IF;
    FOR one IN SELECT * FROM (VALUES (1, 'ok', on_reply.ok), (2, 'failed', on_reply.failed)) AS f (n, what, given) WHERE given IS NOT NULL LOOP
        functions[one.n] := tpro.must_run(one.what, one.given, sidecar, 'tpro.reply_row', 'reply tpro.reply_row', 'void', 'paid')
                            || '(tpro.reply_row)';
    END LOOP;
    PERFORM tpro.write_callback(schema_name, on_reply.service_name, on_reply.entity, on_reply.method_name, functions[1], functions[2]);
END
$$;
COMMENT ON FUNCTION tpro.on_reply(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.regprocedure, pg_catalog.regprocedure, pg_catalog.text) IS
    'has functions (reply tpro.reply_row) RETURNS void handle each reply of a method whose writing begins after its commit, in the transaction that writes it: ok for status ok, failed for all others; 22023 bad value, 42883 no function, 42501 the service may not run it or the caller not say so, 55000 no sender, 3F000 unknown';

CREATE FUNCTION tpro.off_reply(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    sender pg_catalog.text DEFAULT NULL
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.callbacks_of(off_reply.sender);
    there boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s.mq_callback c WHERE c.service_name = $1 AND c.entity = $2 AND c.method_name = $3
                                      AND num_nonnulls(c.ok, c.failed) > 0)', schema_name)
        INTO there USING off_reply.service_name, off_reply.entity, off_reply.method_name;
    IF there THEN
        PERFORM tpro.write_callback(schema_name, off_reply.service_name, off_reply.entity, off_reply.method_name, NULL, NULL);
    END IF;
    RETURN there;
END
$$;
COMMENT ON FUNCTION tpro.off_reply(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'takes back what tpro.on_reply has said of a method; whether there was something; 42501 not permitted, 55000 no sender, 3F000 unknown';

-- ---------------------------------------------------------------------------------------------------------------------
-- The catalogue: who answers what. The copies of this database's services write it themselves (tpro.serves); of all others a copy hears
-- on NATS, where anybody may say anything. It has what is so at present, and no dump carries it.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE tpro.known_copy (
    service_name pg_catalog.text,
    space_name pg_catalog.text,
    copy pg_catalog.text,
    release pg_catalog.text NOT NULL,
    trusted pg_catalog.bool NOT NULL,
    seen_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (service_name, space_name, copy)
);
COMMENT ON TABLE tpro.known_copy IS 'the copies that have said which methods they answer';
COMMENT ON COLUMN tpro.known_copy.service_name IS 'the service';
COMMENT ON COLUMN tpro.known_copy.space_name IS 'the space in which it serves';
COMMENT ON COLUMN tpro.known_copy.copy IS 'a name that the copy has chosen at its start';
COMMENT ON COLUMN tpro.known_copy.release IS 'its release';
COMMENT ON COLUMN tpro.known_copy.trusted IS 'whether it has said so in this database itself; else it was heard on NATS';
COMMENT ON COLUMN tpro.known_copy.seen_at IS 'when it said so last';

CREATE TABLE tpro.known_method (
    service_name pg_catalog.text,
    space_name pg_catalog.text,
    copy pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    mode pg_catalog.text,
    description pg_catalog.text,
    body_schema pg_catalog.jsonb,
    result_schema pg_catalog.jsonb,
    PRIMARY KEY (service_name, space_name, copy, entity, method_name),
    FOREIGN KEY (service_name, space_name, copy) REFERENCES tpro.known_copy ON DELETE CASCADE
);
COMMENT ON TABLE tpro.known_method IS 'the methods of each copy that has said which ones it answers';
COMMENT ON COLUMN tpro.known_method.service_name IS 'the service';
COMMENT ON COLUMN tpro.known_method.space_name IS 'the space in which it serves';
COMMENT ON COLUMN tpro.known_method.copy IS 'the copy, as in tpro.known_copy';
COMMENT ON COLUMN tpro.known_method.entity IS 'third token of the subject';
COMMENT ON COLUMN tpro.known_method.method_name IS 'fourth token of the subject';
COMMENT ON COLUMN tpro.known_method.mode IS 'default, transactional or stateless; null: not known';
COMMENT ON COLUMN tpro.known_method.description IS 'what it does';
COMMENT ON COLUMN tpro.known_method.body_schema IS 'JSON Schema of its body; null: not known';
COMMENT ON COLUMN tpro.known_method.result_schema IS 'JSON Schema of its result; null: not known';

GRANT SELECT, INSERT, UPDATE, DELETE ON tpro.known_copy, tpro.known_method TO tpro_owner;

-- It writes its methods once, at its start, and later only that it is still there. It waits for nobody's lock: who calls it is a copy at
-- work.
CREATE FUNCTION tpro.serves(
    service pg_catalog.text,
    space_name pg_catalog.text,
    copy pg_catalog.text,
    release pg_catalog.text,
    methods pg_catalog.jsonb DEFAULT NULL
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
AS $$
BEGIN
    PERFORM tpro.must_serve(serves.service);
    IF serves.methods IS NULL THEN
        UPDATE tpro.known_copy c SET seen_at = clock_timestamp()
         WHERE c.service_name = serves.service AND c.space_name = serves.space_name AND c.copy = serves.copy AND c.trusted;
        RETURN FOUND;
    END IF;
    DELETE FROM tpro.known_copy c
     WHERE c.service_name = serves.service AND c.space_name = serves.space_name AND c.copy = serves.copy;
    INSERT INTO tpro.known_copy (service_name, space_name, copy, release, trusted)
    VALUES (serves.service, serves.space_name, serves.copy, serves.release, true);
    INSERT INTO tpro.known_method (service_name, space_name, copy, entity, method_name, mode, description, body_schema, result_schema)
    SELECT serves.service, serves.space_name, serves.copy, m.entity, m.method_name, m.mode, m.description, m.body_schema, m.result_schema
      FROM jsonb_to_recordset(serves.methods) AS m (entity text, method_name text, mode text, description text, body_schema jsonb,
                                                    result_schema jsonb);
    RETURN true;
END
$$;
ALTER FUNCTION tpro.serves(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.serves(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
    'says which methods a copy of a service answers, or without them that it is still there; false if its methods are not known; errors as tpro.lead';

CREATE FUNCTION tpro.serves_no_more(service pg_catalog.text, space_name pg_catalog.text, copy pg_catalog.text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
AS $$
BEGIN
    PERFORM tpro.must_serve(serves_no_more.service);
    DELETE FROM tpro.known_copy c
     WHERE c.service_name = serves_no_more.service AND c.space_name = serves_no_more.space_name AND c.copy = serves_no_more.copy;
END
$$;
ALTER FUNCTION tpro.serves_no_more(pg_catalog.text, pg_catalog.text, pg_catalog.text) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.serves_no_more(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'takes back what a copy of a service has said by tpro.serves; errors as tpro.lead';

-- One copy of a database asks at a time, and at most once a minute.
CREATE TABLE tpro.hearing (
    only_row pg_catalog.bool PRIMARY KEY DEFAULT true CONSTRAINT hearing_one_row CHECK (only_row),
    at pg_catalog.timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE tpro.hearing IS 'when a copy of this database asked last on NATS which services there are';
COMMENT ON COLUMN tpro.hearing.only_row IS 'there is one row';
COMMENT ON COLUMN tpro.hearing.at IS 'when';
COMMENT ON CONSTRAINT hearing_one_row ON tpro.hearing IS 'there is one row';
INSERT INTO tpro.hearing DEFAULT VALUES;
GRANT SELECT, UPDATE ON tpro.hearing TO tpro_owner;

CREATE FUNCTION tpro.hears(service pg_catalog.text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
AS $$
BEGIN
    PERFORM tpro.must_serve(hears.service);
    -- A time that lies ahead is of a clock that was set back.
    UPDATE tpro.hearing h SET at = clock_timestamp()
     WHERE h.at < clock_timestamp() - interval '55 seconds' OR h.at > clock_timestamp() + interval '1 minute';
    RETURN FOUND;
END
$$;
ALTER FUNCTION tpro.hears(pg_catalog.text) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.hears(pg_catalog.text) IS
    'whether it is the turn of the caller to ask on NATS which services there are: of one copy of this database, once a minute; errors as tpro.lead';

-- Anybody on NATS can say anything, so there are bounds: 20 copies of a service and 200 in all that are not trusted, 200 methods of each,
-- and what is not said again goes after ten minutes.
CREATE FUNCTION tpro.heard(service pg_catalog.text, copies pg_catalog.jsonb) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
AS $$
DECLARE
    said record;
    noted bigint := 0;
BEGIN
    PERFORM tpro.must_serve(heard.service);
    -- What nobody has seen lately, or will be seen only by a clock that was set back.
    DELETE FROM tpro.known_copy c
     WHERE c.seen_at < clock_timestamp() - CASE WHEN c.trusted THEN interval '1 day' ELSE interval '10 minutes' END
        OR c.seen_at > clock_timestamp() + interval '1 day';
    FOR said IN
        SELECT DISTINCT ON (c.service_name, c.space_name, c.copy) c.*
          FROM jsonb_to_recordset(heard.copies) AS c (service_name text, space_name text, copy text, release text, methods jsonb)
         WHERE num_nulls(c.service_name, c.space_name, c.copy, c.release, c.methods) = 0
           AND greatest(length(c.service_name), length(c.space_name), length(c.copy), length(c.release)) <= 64
         ORDER BY c.service_name, c.space_name, c.copy
    LOOP
        -- What a copy has said in this database goes before what anybody says on NATS, unless it has not said so for long.
        UPDATE tpro.known_copy c SET seen_at = clock_timestamp(), release = said.release, trusted = false
         WHERE c.service_name = said.service_name AND c.space_name = said.space_name AND c.copy = said.copy
           AND (NOT c.trusted OR c.seen_at < clock_timestamp() - interval '2 minutes');
        IF NOT FOUND THEN
            INSERT INTO tpro.known_copy (service_name, space_name, copy, release, trusted)
            SELECT said.service_name, said.space_name, said.copy, said.release, false
             WHERE (SELECT count(*) FROM tpro.known_copy c WHERE NOT c.trusted) < 200
               AND (SELECT count(*) FROM tpro.known_copy c
                     WHERE c.service_name = said.service_name AND c.space_name = said.space_name AND NOT c.trusted) < 20
            ON CONFLICT DO NOTHING;
            CONTINUE WHEN NOT FOUND;
        END IF;
        noted := noted + 1;
        DELETE FROM tpro.known_method m
         WHERE m.service_name = said.service_name AND m.space_name = said.space_name AND m.copy = said.copy;
        INSERT INTO tpro.known_method (service_name, space_name, copy, entity, method_name, mode, description, body_schema, result_schema)
        SELECT said.service_name, said.space_name, said.copy, left(m.entity, 64), left(m.method_name, 64), left(m.mode, 20),
               left(m.description, 500), CASE WHEN length(m.body_schema::text) <= 40000 THEN m.body_schema END,
               CASE WHEN length(m.result_schema::text) <= 40000 THEN m.result_schema END
          FROM jsonb_to_recordset(said.methods) AS m (entity text, method_name text, mode text, description text, body_schema jsonb,
                                                      result_schema jsonb)
         WHERE num_nulls(m.entity, m.method_name) = 0
         LIMIT 200
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN noted;
END
$$;
ALTER FUNCTION tpro.heard(pg_catalog.text, pg_catalog.jsonb) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.heard(pg_catalog.text, pg_catalog.jsonb) IS
    'notes the copies, with their methods, that were heard on NATS and have said nothing in this database; how many; errors as tpro.lead';

CREATE FUNCTION tpro.must_be_schema(what pg_catalog.text, schema pg_catalog.jsonb) RETURNS void
    AS 'MODULE_PATHNAME', 'must_be_schema_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tpro.must_be_schema(pg_catalog.text, pg_catalog.jsonb) IS
    'refuses a value that is not a JSON Schema which a body can be checked by; 22023';

CREATE FUNCTION tpro.misfits(schema pg_catalog.jsonb, body pg_catalog.jsonb, batch pg_catalog.bool) RETURNS pg_catalog.text[]
    AS 'MODULE_PATHNAME', 'misfits_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tpro.misfits(pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.bool) IS
    'the problems of a body, or of the elements of a batch, by a JSON Schema: a place, its problem, a place, its problem, and so on; null: none';

-- It has the rights of who calls it, as tpro.handle().
CREATE FUNCTION tpro.describe(
    entity pg_catalog.text,
    method_name pg_catalog.text,
    description pg_catalog.text DEFAULT NULL,
    body_schema pg_catalog.jsonb DEFAULT NULL,
    result_schema pg_catalog.jsonb DEFAULT NULL,
    service pg_catalog.text DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.handlers_of(describe.service);
    described bigint;
BEGIN
    PERFORM describe.entity::tpro.entity, describe.method_name::tpro.method_name;
    PERFORM tpro.must_be_schema('body_schema', describe.body_schema);
    PERFORM tpro.must_be_schema('result_schema', describe.result_schema);
    EXECUTE format('UPDATE %s.mq_handler h SET description = $3, body_schema = $4, result_schema = $5
                     WHERE h.entity = $1 AND h.method_name = $2', schema_name)
        USING describe.entity, describe.method_name, describe.description, describe.body_schema, describe.result_schema;
    GET DIAGNOSTICS described = ROW_COUNT;
    IF described = 0 THEN
        RAISE no_data_found USING
            MESSAGE = format('no function in SQL answers %s.%s of %s', describe.entity, describe.method_name, schema_name),
            HINT = 'SELECT tpro.handle(...) first. A method of a program is described in the program.';
    END IF;
END
$$;
COMMENT ON FUNCTION tpro.describe(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.text) IS
    'says what a method does that a function in SQL answers, and JSON Schemas of its body and its result; null: nothing; 22023 no schema, P0002 no handler in SQL, 42501 not permitted, 55000 no service, 3F000 unknown';

-- What is said of the methods that functions in SQL answer. A comment on the function describes them, too.
CREATE FUNCTION tpro.methods_in_sql(service pg_catalog.text)
    RETURNS TABLE (entity pg_catalog.text, method_name pg_catalog.text, mode pg_catalog.text, description pg_catalog.text,
                   body_schema pg_catalog.jsonb, result_schema pg_catalog.jsonb)
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
BEGIN
    -- Nobody but tpro_owner has made this table, or what reads like one would run its maker's code here. That of an earlier release
    -- describes nothing.
    IF EXISTS (SELECT FROM tpro.service_schemas s
                 JOIN pg_class c ON c.relnamespace = s.schema_oid AND c.relname = 'mq_handler' AND c.relkind = 'r'
                                AND pg_get_userbyid(c.relowner) = 'tpro_owner'
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'description' AND NOT a.attisdropped
                WHERE s.name = methods_in_sql.service) THEN
        RETURN QUERY EXECUTE format(
            'SELECT h.entity::text, h.method_name::text, h.mode,
                    coalesce(h.description, obj_description(to_regprocedure(h.handler), ''pg_proc'')), h.body_schema, h.result_schema
               FROM %I.mq_handler h', methods_in_sql.service || '_service');
    END IF;
END
$$;
ALTER FUNCTION tpro.methods_in_sql(pg_catalog.text) OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.methods_in_sql(pg_catalog.text) IS 'the methods of a service that functions in SQL answer';

-- A body that one of the running copies takes, or may take, is no misfit. A copy that was not seen for two minutes does not count as
-- running. Where a copy is not trusted, nobody knows what it takes; sure asks for what holds beyond doubt. One query and one call of the
-- validator in most cases: with tpro.check_bodies each publish pays for it.
CREATE FUNCTION tpro.misfits_of(
    space_name pg_catalog.text,
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb,
    batch pg_catalog.bool,
    sure pg_catalog.bool
) RETURNS pg_catalog.text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
    said record;
    somebody_runs boolean := false;
    all_trusted boolean := true;
    somebody_has_it boolean := false;
    all_have_it boolean := true;
    misfits text[];
    first_misfits text[];
BEGIN
    FOR said IN
        SELECT c.trusted, m.copy IS NOT NULL AS has_method, m.body_schema
          FROM tpro.known_copy c
          LEFT JOIN tpro.known_method m ON m.service_name = c.service_name AND m.space_name = c.space_name AND m.copy = c.copy
                                       AND m.entity = misfits_of.entity AND m.method_name = misfits_of.method_name
         WHERE c.service_name = misfits_of.service_name AND c.space_name = misfits_of.space_name
           -- By the clock of the snapshot, so that no copy is gone before another. A clock that was set back leaves times to come.
           AND c.seen_at > now() - interval '2 minutes' AND c.seen_at < clock_timestamp() + interval '1 day'
         ORDER BY c.trusted
    LOOP
        somebody_runs := true;
        all_trusted := all_trusted AND said.trusted;
        IF misfits_of.sure AND NOT all_trusted THEN
            RETURN NULL;
        ELSIF NOT said.has_method THEN
            all_have_it := false;
            CONTINUE;
        END IF;
        somebody_has_it := true;
        misfits := tpro.misfits(said.body_schema, misfits_of.body, misfits_of.batch);
        IF misfits IS NULL THEN
            RETURN NULL;
        END IF;
        first_misfits := coalesce(first_misfits, misfits);
    END LOOP;
    IF NOT somebody_runs THEN
        RETURN NULL;
    ELSIF NOT all_have_it THEN
        -- A function in SQL answers where the program does not.
        SELECT m.body_schema INTO said FROM tpro.methods_in_sql(misfits_of.service_name) m
         WHERE m.entity = misfits_of.entity AND m.method_name = misfits_of.method_name;
        IF FOUND THEN
            misfits := tpro.misfits(said.body_schema, misfits_of.body, misfits_of.batch);
            RETURN CASE WHEN misfits IS NOT NULL THEN coalesce(first_misfits, misfits) END;
        ELSIF all_trusted AND NOT somebody_has_it THEN
            RETURN ARRAY[NULL, format('no running copy of %s answers %s.%s', misfits_of.service_name, misfits_of.entity, misfits_of.method_name)];
        END IF;
    END IF;
    RETURN first_misfits;
END
$$;
ALTER FUNCTION tpro.misfits_of(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.bool, pg_catalog.bool)
    OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.misfits_of(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.bool, pg_catalog.bool) IS
    'the problems of a body that no running copy of a service takes: a place, its problem, a place, its problem, and so on; no place if no copy has the method; null: none, or nobody knows';

CREATE FUNCTION tpro.check(
    service_name pg_catalog.text,
    entity pg_catalog.text,
    method_name pg_catalog.text,
    body pg_catalog.jsonb,
    space_name pg_catalog.text DEFAULT NULL
) RETURNS TABLE (path pg_catalog.text, problem pg_catalog.text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.misfits[2 * n - 1], m.misfits[2 * n]
      FROM (SELECT tpro.misfits_of(coalesce("check".space_name, tpro.space())::tpro.space_name, "check".service_name::tpro.service_name,
                                   "check".entity::tpro.entity, "check".method_name::tpro.method_name, "check".body, false,
                                   false) AS misfits) m,
           generate_series(1, array_length(m.misfits, 1) / 2) n
$$;
COMMENT ON FUNCTION tpro.check(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.text) IS
    'what of a body the service would refuse, as far as its running copies have said what they take: each place with its problem, and no place if no copy has the method; no row: nothing that is known';

CREATE FUNCTION tpro.known_methods()
    RETURNS TABLE (space_name pg_catalog.text, service_name pg_catalog.text, entity pg_catalog.text, method_name pg_catalog.text,
                   mode pg_catalog.text, description pg_catalog.text, body_schema pg_catalog.jsonb, result_schema pg_catalog.jsonb,
                   releases pg_catalog.text[], copies pg_catalog.int8, seen_at pg_catalog.timestamptz, trusted pg_catalog.bool)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
    WITH copy AS (
        SELECT c.*, c.seen_at > clock_timestamp() - interval '2 minutes' AND c.seen_at < clock_timestamp() + interval '1 day' AS runs
          FROM tpro.known_copy c
    ), said AS (
        SELECT c.space_name, c.service_name, m.entity, m.method_name, m.mode, m.description, m.body_schema, m.result_schema,
               c.release, c.runs, c.seen_at, c.trusted
          FROM copy c JOIN tpro.known_method m USING (service_name, space_name, copy)
        UNION ALL
        -- A copy answers these as well, if its program does not.
        SELECT c.space_name, c.service_name, s.entity, s.method_name, s.mode, s.description, s.body_schema, s.result_schema,
               c.release, c.runs, c.seen_at, true
          FROM tpro.service_schemas o
          CROSS JOIN LATERAL tpro.methods_in_sql(o.name) s
          JOIN copy c ON c.service_name = o.name AND c.trusted
         WHERE NOT EXISTS (SELECT FROM tpro.known_method m
                            WHERE m.service_name = c.service_name AND m.space_name = c.space_name AND m.copy = c.copy
                              AND m.entity = s.entity AND m.method_name = s.method_name)
    ), method AS (
        -- Of a method that copies of this database have, nothing is shown that was only heard.
        SELECT s.*, bool_or(s.trusted) OVER (PARTITION BY s.space_name, s.service_name, s.entity, s.method_name) AS is_known FROM said s
    )
    SELECT m.space_name, m.service_name, m.entity, m.method_name,
           (array_agg(m.mode ORDER BY m.runs DESC, m.seen_at DESC))[1],
           (array_agg(m.description ORDER BY m.runs DESC, m.seen_at DESC))[1],
           (array_agg(m.body_schema ORDER BY m.runs DESC, m.seen_at DESC))[1],
           (array_agg(m.result_schema ORDER BY m.runs DESC, m.seen_at DESC))[1],
           coalesce(array_agg(DISTINCT m.release) FILTER (WHERE m.runs), '{}'),
           count(*) FILTER (WHERE m.runs),
           max(m.seen_at),
           bool_or(m.trusted)
      FROM method m
     WHERE m.trusted OR NOT m.is_known
     GROUP BY m.space_name, m.service_name, m.entity, m.method_name
$$;
ALTER FUNCTION tpro.known_methods() OWNER TO tpro_owner;
COMMENT ON FUNCTION tpro.known_methods() IS 'what the view tpro.methods shows';

CREATE VIEW tpro.methods AS
    SELECT m.space_name, m.service_name, m.entity, m.method_name, m.mode, m.description, m.body_schema, m.result_schema, m.releases,
           m.copies, m.seen_at, m.trusted
      FROM tpro.known_methods() m;
COMMENT ON VIEW tpro.methods IS 'the methods that copies of services have said they answer';
COMMENT ON COLUMN tpro.methods.space_name IS 'first token of the subject';
COMMENT ON COLUMN tpro.methods.service_name IS 'second token: the service that answers';
COMMENT ON COLUMN tpro.methods.entity IS 'third token';
COMMENT ON COLUMN tpro.methods.method_name IS 'fourth token';
COMMENT ON COLUMN tpro.methods.mode IS 'default, transactional or stateless; null: not known';
COMMENT ON COLUMN tpro.methods.description IS 'what it does';
COMMENT ON COLUMN tpro.methods.body_schema IS 'JSON Schema of its body; null: not known';
COMMENT ON COLUMN tpro.methods.result_schema IS 'JSON Schema of its result; null: not known';
COMMENT ON COLUMN tpro.methods.releases IS 'the releases of the running copies that answer it';
COMMENT ON COLUMN tpro.methods.copies IS 'how many copies are running that answer it';
COMMENT ON COLUMN tpro.methods.seen_at IS 'when one of them was seen last';
COMMENT ON COLUMN tpro.methods.trusted IS 'whether a copy has said so in this database itself; else it was only heard on NATS';

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may what, of what is new
-- ---------------------------------------------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION
    tpro.replace_service_key(), tpro.hmac_sha256(pg_catalog.bytea, pg_catalog.bytea), tpro.sign(pg_catalog.text, pg_catalog.bytea),
    tpro.once(), tpro.replied(pg_catalog.text, pg_catalog.int8[]),
    tpro.let_pass(pg_catalog.bool), tpro.send_due(pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4),
    tpro.drop_dedup_keys(pg_catalog.text, pg_catalog.int4), tpro.end_backend(pg_catalog.int4, pg_catalog.timestamptz),
    tpro.is_left_over(pg_catalog.text), tpro.waiting(pg_catalog.text), tpro.resume(pg_catalog.text), tpro.upgrade_service(pg_catalog.text),
    tpro.release(pg_catalog.text, pg_catalog.text, pg_catalog.text), tpro.end_holds(pg_catalog.text, pg_catalog.int8[]),
    tpro.serves(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb),
    tpro.serves_no_more(pg_catalog.text, pg_catalog.text, pg_catalog.text), tpro.hears(pg_catalog.text),
    tpro.heard(pg_catalog.text, pg_catalog.jsonb), tpro.methods_in_sql(pg_catalog.text)
    FROM PUBLIC;
REVOKE ALL ON PROCEDURE tpro.upgrade_services(pg_catalog.interval) FROM PUBLIC;

GRANT SELECT, INSERT, DELETE ON tpro.service_key TO tpro_owner;
-- What tpro.sign() calls with its owner's rights.
GRANT EXECUTE ON FUNCTION tpro.must_serve(pg_catalog.text), tpro.hmac_sha256(pg_catalog.bytea, pg_catalog.bytea) TO tpro_owner;
-- What puts messages into the outbox at their time.
GRANT EXECUTE ON FUNCTION tpro.let_pass(pg_catalog.bool) TO tpro_owner;
GRANT EXECUTE ON FUNCTION tpro.once(), tpro.upgrade_service(pg_catalog.text) TO tpro_owner;
GRANT EXECUTE ON PROCEDURE tpro.upgrade_services(pg_catalog.interval) TO tpro_owner;
GRANT EXECUTE ON FUNCTION tpro.must_be_name(pg_catalog.text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION tpro.waiting(pg_catalog.text) TO tpro_reader, tpro_operator, tpro_owner;
GRANT EXECUTE ON FUNCTION tpro.resume(pg_catalog.text), tpro.release(pg_catalog.text, pg_catalog.text, pg_catalog.text) TO tpro_operator;
-- They only hand on to the one with jsonb, by which rights go. An untyped body is taken for text: whoever could call that one before an
-- upgrade goes on by these.
GRANT EXECUTE ON FUNCTION
    tpro.publish(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text),
    tpro.publish(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text)
    TO PUBLIC;
GRANT EXECUTE ON PROCEDURE
    tpro.request(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.jsonb),
    tpro.request(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.jsonb)
    TO PUBLIC;
-- They have the rights of who calls them: an INSERT into the outbox or into mq_once, a SELECT of the replies.
GRANT EXECUTE ON PROCEDURE
    tpro.request(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.jsonb)
    TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    tpro.publish(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text),
    tpro.publish(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text),
    tpro.publish(tpro.service_name, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text),
    tpro.must_be_messages(pg_catalog.jsonb),
    tpro.publish_many(pg_catalog.jsonb, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text),
    tpro.publish_many(pg_catalog.json, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text),
    tpro.publish_many(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text),
    tpro.publish_once(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.interval),
    tpro.publish_once(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.interval),
    tpro.publish_once(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.interval),
    tpro.later_tx(pg_catalog.int8, pg_catalog.text), tpro.has_later(pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.watch(pg_catalog.oid, pg_catalog.int8[]), tpro.unwatch(pg_catalog.oid, pg_catalog.int8[]), tpro.rest(pg_catalog.float8),
    tpro.wait_for(pg_catalog.int8[], pg_catalog.int4, pg_catalog.int4, pg_catalog.text),
    tpro.wait_all(pg_catalog.int8[], pg_catalog.int4, pg_catalog.text),
    tpro.wait_any(pg_catalog.int8[], pg_catalog.int4, pg_catalog.text)
    TO PUBLIC;
-- They have the rights of who calls them, on the tables mq_handler and mq_callback of a service; the last one only raises.
GRANT EXECUTE ON FUNCTION
    tpro.handlers_of(pg_catalog.text),
    tpro.handle(pg_catalog.text, pg_catalog.text, pg_catalog.regprocedure, pg_catalog.text, pg_catalog.int4, pg_catalog.text),
    tpro.unhandle(pg_catalog.text, pg_catalog.text, pg_catalog.text),
    tpro.must_run(pg_catalog.text, pg_catalog.regprocedure, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text),
    tpro.reply_function(pg_catalog.text, pg_catalog.oid),
    tpro.callbacks_of(pg_catalog.text),
    tpro.write_callback(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text),
    tpro.on_reply(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.regprocedure, pg_catalog.regprocedure, pg_catalog.text),
    tpro.off_reply(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text),
    tpro.raise_fault(pg_catalog.int4, pg_catalog.text, pg_catalog.jsonb)
    TO PUBLIC;
-- What a service takes is no secret: its copies say it on NATS, too, and a publish asks for it with the rights of its publisher.
GRANT SELECT ON tpro.methods TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    tpro.check(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.text),
    tpro.misfits_of(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.bool, pg_catalog.bool),
    tpro.misfits(pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.bool), tpro.must_be_schema(pg_catalog.text, pg_catalog.jsonb),
    tpro.describe(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.text),
    tpro.known_methods()
    TO PUBLIC;
-- They show what everybody may read in the catalogues; a copy asks before the rights of its service are upgraded.
GRANT EXECUTE ON FUNCTION tpro.outdated(pg_catalog.text), tpro.foreign_code(pg_catalog.text), tpro.faults(pg_catalog.text) TO PUBLIC;
-- Partitions: of what is new nobody has a right yet.
REVOKE ALL ON FUNCTION
    tpro.partition_label(pg_catalog.text, pg_catalog.int8),
    tpro.partition_unlabel(pg_catalog.text, pg_catalog.text),
    tpro.partition_name(pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.partition_words(pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.partition_bound(pg_catalog.text, pg_catalog.int8),
    tpro.partition_key(pg_catalog.text),
    tpro.partitions(pg_catalog.text),
    tpro.next_key(pg_catalog.text, pg_catalog.text),
    tpro.partition_kept(pg_catalog.text, pg_catalog.text, pg_catalog.regclass, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.bool),
    tpro.lock_soon(pg_catalog.regclass, pg_catalog.text, pg_catalog.int4),
    tpro.must_maintain(pg_catalog.text, pg_catalog.text),
    tpro.must_be_unreferenced(pg_catalog.regclass),
    tpro.make_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.name_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.attach_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.mend_partitions(pg_catalog.text, pg_catalog.text, pg_catalog.int8),
    tpro.trust_bound(pg_catalog.regclass),
    tpro.make_partitions(pg_catalog.text, pg_catalog.text, pg_catalog.int8),
    tpro.drop_partition(pg_catalog.text, pg_catalog.oid, pg_catalog.int8)
    FROM PUBLIC;
-- The parts of what sidecars call, which run with the rights of tpro_owner there.
GRANT EXECUTE ON FUNCTION
    tpro.partition_label(pg_catalog.text, pg_catalog.int8), tpro.partition_unlabel(pg_catalog.text, pg_catalog.text),
    tpro.partition_name(pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.partition_words(pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.partition_bound(pg_catalog.text, pg_catalog.int8), tpro.partition_key(pg_catalog.text), tpro.partitions(pg_catalog.text),
    tpro.next_key(pg_catalog.text, pg_catalog.text),
    tpro.partition_kept(pg_catalog.text, pg_catalog.text, pg_catalog.regclass, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.bool),
    tpro.lock_soon(pg_catalog.regclass, pg_catalog.text, pg_catalog.int4),
    tpro.must_maintain(pg_catalog.text, pg_catalog.text),
    tpro.must_be_unreferenced(pg_catalog.regclass),
    tpro.make_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.name_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.attach_partition(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int8),
    tpro.trust_bound(pg_catalog.regclass)
    TO tpro_owner;
