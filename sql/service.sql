-- The template of a service: tpro.create_service() runs it with @schema@, @publisher@ and @sidecar@ replaced by quoted
-- names, and with search_path = pg_catalog, pg_temp. All services have identical tables. They are ordinary tables, not
-- members of the extension, so that pg_dump carries their data.
--
-- All are insert-only, the cursor apart. mq_publish and mq_reply are partitioned by the same ranges of ids, at first of a
-- million: _p000000000000_000001000000 has the ids from 0 to below 1,000,000 and so on; _rest has what comes after those that
-- are made ahead, so that no publisher fails for want of a partition. mq_receive and mq_outcome are partitioned by days (UTC)
-- of their uid, a uuid of version 7 being a time: _p00000000_20260130 has what is before that day, _p20260130_20260131 that
-- day, and so on; _rest what comes after. tpro.make_partitions() makes further partitions, tpro.drop_partition() drops old ones.

CREATE SCHEMA @schema@;
COMMENT ON SCHEMA @schema@ IS 'tpro: outbox and inbox of a service';

-- Roles belong to the cluster: another database may have made them, or be making them now.
DO $$
BEGIN
    BEGIN
        CREATE ROLE @publisher@ NOLOGIN;
        COMMENT ON ROLE @publisher@ IS 'tpro: may publish on behalf of a service, and read no body';
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
        CREATE ROLE @sidecar@ NOLOGIN;
        COMMENT ON ROLE @sidecar@ IS 'tpro: the sidecar of a service, in its own schema only';
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    -- What somebody else calls by such a name may hold rights that are none of a service's.
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('@publisher@', '@sidecar@')
                  AND coalesce(shobj_description(r.oid, 'pg_authid'), '') NOT LIKE 'tpro: %') THEN
        RAISE duplicate_object USING
            MESSAGE = 'a role @publisher@ or @sidecar@ is there already and was not made by tpro',
            HINT = 'Choose another name for the service, or rename that role.';
    END IF;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- The outbox
-- ---------------------------------------------------------------------------------------------------------------------

-- CACHE 1: a sequence that hands out blocks would put ids far from the order of time.
CREATE SEQUENCE @schema@.mq_publish_id_seq AS bigint CACHE 1;
COMMENT ON SEQUENCE @schema@.mq_publish_id_seq IS 'ids of messages';

-- The rules are those of the domains, since PostgreSQL logs the failing row of a table's own constraints. DEFAULT NULL
-- says of a column of a domain that the domain judges its absence, also in a COPY that leaves the column out.
CREATE TABLE @schema@.mq_publish (
    -- The transaction has its number before the id is drawn. So a snapshot that is taken after the draw shows whether the transaction
    -- is over, and the dispatcher knows which ids may still come.
    id tpro.message_id DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('@schema@.mq_publish_id_seq') END,
    uid tpro.uid DEFAULT tpro.uuid7(),
    tx tpro.transaction_id DEFAULT pg_current_xact_id(),
    protocol tpro.protocol DEFAULT 'jsonrpc',
    space_name tpro.space_name DEFAULT tpro.space(),
    service_name tpro.service_name DEFAULT NULL,
    entity tpro.entity DEFAULT NULL,
    method_name tpro.method_name DEFAULT NULL,
    timeout tpro.timeout DEFAULT 15,
    headers tpro.headers DEFAULT '{}',
    body tpro.body DEFAULT '{}',
    created_at tpro.created_at DEFAULT clock_timestamp(),
    direct tpro.direct DEFAULT false,
    reply_to tpro.reply_to,
    expires_at tpro.expires_at,
    traceparent tpro.traceparent DEFAULT tpro.new_traceparent(),
    tracestate tpro.tracestate DEFAULT tpro.new_tracestate(),
    -- The bell has the rules of these: a column of a domain with a rule, added to a table that has rows, rewrites all of them.
    priority integer DEFAULT 0,
    ordering_key text DEFAULT NULL,
    on_reply text DEFAULT NULL,
    retry_of bigint DEFAULT NULL,
    -- Two columns are beyond a domain. The function raises, so that the constraint itself never fails.
    CONSTRAINT mq_publish_body_rule CHECK (tpro.check_body_for(protocol, body)),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
ALTER SEQUENCE @schema@.mq_publish_id_seq OWNED BY @schema@.mq_publish.id;
CREATE INDEX mq_publish_tx_id ON @schema@.mq_publish (tx, id);

COMMENT ON TABLE @schema@.mq_publish IS 'outbox: what this service asks of others; a row is a message';
COMMENT ON COLUMN @schema@.mq_publish.id IS 'number within this outbox';
COMMENT ON COLUMN @schema@.mq_publish.uid IS 'identity of the message everywhere';
COMMENT ON COLUMN @schema@.mq_publish.tx IS 'the publishing transaction, by which the dispatcher reads';
COMMENT ON COLUMN @schema@.mq_publish.protocol IS 'jsonrpc or json';
COMMENT ON COLUMN @schema@.mq_publish.space_name IS 'first token of the subject';
COMMENT ON COLUMN @schema@.mq_publish.service_name IS 'second token: the service that answers';
COMMENT ON COLUMN @schema@.mq_publish.entity IS 'third token';
COMMENT ON COLUMN @schema@.mq_publish.method_name IS 'fourth token';
COMMENT ON COLUMN @schema@.mq_publish.timeout IS 'seconds to wait for the reply, from the first send; 0: an event';
COMMENT ON COLUMN @schema@.mq_publish.headers IS 'what travels beside the body';
COMMENT ON COLUMN @schema@.mq_publish.body IS 'what is sent';
COMMENT ON COLUMN @schema@.mq_publish.created_at IS 'when it was published';
COMMENT ON COLUMN @schema@.mq_publish.direct IS 'journal of a call that the service made itself: never dispatched';
COMMENT ON COLUMN @schema@.mq_publish.reply_to IS 'label to which the sidecar publishes the bare reply as well, behind its setting REPLY_TO_PREFIX; null: to none';
COMMENT ON COLUMN @schema@.mq_publish.expires_at IS 'after which it is no longer worth sending';
COMMENT ON COLUMN @schema@.mq_publish.traceparent IS 'the span of publishing';
COMMENT ON COLUMN @schema@.mq_publish.tracestate IS 'names the parent of that span';
COMMENT ON COLUMN @schema@.mq_publish.priority IS '0 to 3: shares of what waits for one service; 3 has the largest, 0 the smallest';
COMMENT ON COLUMN @schema@.mq_publish.ordering_key IS 'messages to one service with one key are sent one after the other; null: in no order';
COMMENT ON COLUMN @schema@.mq_publish.on_reply IS 'the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one';
COMMENT ON COLUMN @schema@.mq_publish.retry_of IS 'id of the message that this one repeats; null: of none';
COMMENT ON CONSTRAINT mq_publish_body_rule ON @schema@.mq_publish IS 'jsonrpc takes an object or an array';
COMMENT ON INDEX @schema@.mq_publish_tx_id IS 'what the dispatcher reads by';

-- What is to be sent later. A plain table: at its time a row goes from here into mq_publish.
CREATE TABLE @schema@.mq_later (
    id tpro.message_id DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('@schema@.mq_publish_id_seq') END PRIMARY KEY,
    send_at timestamptz,
    tx tpro.transaction_id DEFAULT pg_current_xact_id(),
    protocol tpro.protocol DEFAULT 'jsonrpc',
    space_name tpro.space_name DEFAULT tpro.space(),
    service_name tpro.service_name DEFAULT NULL,
    entity tpro.entity DEFAULT NULL,
    method_name tpro.method_name DEFAULT NULL,
    timeout tpro.timeout DEFAULT 15,
    headers tpro.headers DEFAULT '{}',
    body tpro.body DEFAULT '{}',
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
CREATE INDEX mq_later_send_at ON @schema@.mq_later (send_at, id);
-- The rules of a row, as in mq_publish.
CREATE TRIGGER bell BEFORE INSERT ON @schema@.mq_later FOR EACH ROW EXECUTE FUNCTION tpro.bell();
COMMENT ON TRIGGER bell ON @schema@.mq_later IS 'refuses what may not be sent, and tells the dispatcher of what is due soon';
COMMENT ON TABLE @schema@.mq_later IS 'what this service asks of others later; at its time a row goes into mq_publish';
COMMENT ON COLUMN @schema@.mq_later.id IS 'number within the outbox, which stays when it is sent';
COMMENT ON COLUMN @schema@.mq_later.send_at IS 'when it is to be sent: at most 30 days ahead';
COMMENT ON COLUMN @schema@.mq_later.tx IS 'the transaction that published';
COMMENT ON COLUMN @schema@.mq_later.protocol IS 'jsonrpc or json';
COMMENT ON COLUMN @schema@.mq_later.space_name IS 'first token of the subject';
COMMENT ON COLUMN @schema@.mq_later.service_name IS 'second token: the service that answers';
COMMENT ON COLUMN @schema@.mq_later.entity IS 'third token';
COMMENT ON COLUMN @schema@.mq_later.method_name IS 'fourth token';
COMMENT ON COLUMN @schema@.mq_later.timeout IS 'seconds to wait for the reply, from the first send; 0: an event';
COMMENT ON COLUMN @schema@.mq_later.headers IS 'what travels beside the body';
COMMENT ON COLUMN @schema@.mq_later.body IS 'what is sent';
COMMENT ON COLUMN @schema@.mq_later.created_at IS 'when it was published';
COMMENT ON COLUMN @schema@.mq_later.reply_to IS
    'label to which the sidecar publishes the bare reply as well, behind its setting REPLY_TO_PREFIX; null: to none';
COMMENT ON COLUMN @schema@.mq_later.expires_at IS 'after which it is no longer worth sending; later than send_at';
COMMENT ON COLUMN @schema@.mq_later.traceparent IS 'the span of publishing';
COMMENT ON COLUMN @schema@.mq_later.tracestate IS 'names the parent of that span';
COMMENT ON COLUMN @schema@.mq_later.priority IS
    '0 to 3: shares of what waits for one service; 3 has the largest, 0 the smallest';
COMMENT ON COLUMN @schema@.mq_later.ordering_key IS 'messages to one service with one key are sent one after the other; null: in no order';
COMMENT ON COLUMN @schema@.mq_later.on_reply IS 'the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one';
COMMENT ON COLUMN @schema@.mq_later.retry_of IS 'id of the message that this one repeats; null: of none';
COMMENT ON INDEX @schema@.mq_later_send_at IS 'what the dispatcher looks by';

CREATE TABLE @schema@.mq_reply (
    mq_id tpro.message_id,
    uid tpro.uid,
    status tpro.status,
    result jsonb,
    error jsonb,
    headers jsonb,
    attempts integer,
    sent_at timestamptz,
    replied_at timestamptz DEFAULT clock_timestamp(),
    responder text,
    PRIMARY KEY (mq_id)
) PARTITION BY RANGE (mq_id);

COMMENT ON TABLE @schema@.mq_reply IS 'the one final outcome of each message in mq_publish; the first row wins';
COMMENT ON COLUMN @schema@.mq_reply.mq_id IS 'mq_publish.id';
COMMENT ON COLUMN @schema@.mq_reply.uid IS 'mq_publish.uid';
COMMENT ON COLUMN @schema@.mq_reply.status IS 'ok, error, timeout, unavailable, expired or cancelled';
COMMENT ON COLUMN @schema@.mq_reply.result IS 'the answer, of an ok reply';
COMMENT ON COLUMN @schema@.mq_reply.error IS 'the JSON-RPC error object, of any other';
COMMENT ON COLUMN @schema@.mq_reply.headers IS 'what came beside the answer';
COMMENT ON COLUMN @schema@.mq_reply.attempts IS 'how often the message was sent';
COMMENT ON COLUMN @schema@.mq_reply.sent_at IS 'when it was sent first';
COMMENT ON COLUMN @schema@.mq_reply.replied_at IS 'when it was settled';
COMMENT ON COLUMN @schema@.mq_reply.responder IS 'who answered: service/version/copy';

CREATE TABLE @schema@.mq_reply_fault (
    mq_id bigint PRIMARY KEY,
    handler text NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE @schema@.mq_reply_fault IS 'replies whose handler in this service failed; the reply itself is kept';
COMMENT ON COLUMN @schema@.mq_reply_fault.mq_id IS 'mq_reply.mq_id';
COMMENT ON COLUMN @schema@.mq_reply_fault.handler IS 'the target whose reply handler it was';
COMMENT ON COLUMN @schema@.mq_reply_fault.error IS 'what it said; never a body';
COMMENT ON COLUMN @schema@.mq_reply_fault.at IS 'when';

DO $$
DECLARE
    million CONSTANT bigint := 1000000;
    parent text;
    suffix text;
    low text;
    high text;
BEGIN
    FOR n IN 0 .. 4 LOOP
        FOR parent, suffix, low, high IN
            SELECT p.parent,
                   CASE n WHEN 4 THEN 'rest' ELSE format('p%s_%s', lpad((n * million)::text, 12, '0'),
                                                         lpad(((n + 1) * million)::text, 12, '0')) END,
                   CASE n WHEN 0 THEN 'MINVALUE' ELSE (n * million)::text END,
                   CASE n WHEN 4 THEN 'MAXVALUE' ELSE ((n + 1) * million)::text END
              FROM unnest(ARRAY['mq_publish', 'mq_reply']) AS p(parent)
        LOOP
            EXECUTE format('CREATE TABLE @schema@.%1$I PARTITION OF @schema@.%2$I FOR VALUES FROM (%3$s) TO (%4$s)',
                           parent || '_' || suffix, parent, low, high);
            EXECUTE format('COMMENT ON TABLE @schema@.%I IS %L', parent || '_' || suffix,
                           format('%s, ids from %s to below %s', parent, low, high));
        END LOOP;
    END LOOP;
END
$$;

-- The only trigger here. Rules of the domains hold for a value by itself; those of the trigger hold for a row when it is inserted, and
-- pg_dump has triggers made after the data. It has no WHEN, which PostgreSQL would parse and plan for each statement.
CREATE TRIGGER bell BEFORE INSERT ON @schema@.mq_publish FOR EACH ROW EXECUTE FUNCTION tpro.bell();
COMMENT ON TRIGGER bell ON @schema@.mq_publish IS 'refuses what may not be sent, and wakes a sleeping dispatcher at the commit';

CREATE TABLE @schema@.mq_cursor (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT mq_cursor_one_row CHECK (only_row),
    snapshot pg_snapshot NOT NULL DEFAULT '1:1:',
    pending bigint[] NOT NULL DEFAULT '{}',
    clean boolean NOT NULL DEFAULT true,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE @schema@.mq_cursor IS 'how far the dispatcher has come: what a new leader begins from';
COMMENT ON COLUMN @schema@.mq_cursor.only_row IS 'there is one row';
COMMENT ON COLUMN @schema@.mq_cursor.snapshot IS 'everything visible in it has been read';
COMMENT ON COLUMN @schema@.mq_cursor.pending IS 'ids of what has been read and was not settled yet';
COMMENT ON COLUMN @schema@.mq_cursor.clean IS 'nothing that is not visible in the snapshot has been sent by anybody';
COMMENT ON COLUMN @schema@.mq_cursor.moved_at IS 'when it was written';
INSERT INTO @schema@.mq_cursor DEFAULT VALUES;

CREATE TABLE @schema@.mq_backlog (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT mq_backlog_one_row CHECK (only_row),
    unsettled bigint NOT NULL DEFAULT 0,
    upto bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
COMMENT ON TABLE @schema@.mq_backlog IS 'how much waits, as the leader noted it: by it publishers are refused when it is too much';
COMMENT ON COLUMN @schema@.mq_backlog.only_row IS 'there is one row';
COMMENT ON COLUMN @schema@.mq_backlog.unsettled IS 'messages without a reply';
COMMENT ON COLUMN @schema@.mq_backlog.upto IS 'up to this id; those after it are not counted';
INSERT INTO @schema@.mq_backlog DEFAULT VALUES;

-- Nothing volatile is in it, or the planner makes all of its rows before it sorts and limits them.
CREATE VIEW @schema@.mq_status AS
    SELECT p.id,
           p.created_at,
           p.space_name || '.' || p.service_name || '.' || p.entity || '.' || p.method_name AS target,
           coalesce(r.status, CASE WHEN p.send_at IS NULL THEN 'waiting' ELSE 'later' END) AS status,
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
              FROM @schema@.mq_publish o
            UNION ALL
            SELECT l.id, NULL::uuid AS uid, l.created_at, l.space_name, l.service_name, l.entity, l.method_name, l.traceparent, l.send_at,
                   l.retry_of, l.ordering_key
              FROM @schema@.mq_later l) p
      LEFT JOIN @schema@.mq_reply r ON r.mq_id = p.id;
COMMENT ON VIEW @schema@.mq_status IS 'the messages of this service and what has become of them';
COMMENT ON COLUMN @schema@.mq_status.id IS 'mq_publish.id';
COMMENT ON COLUMN @schema@.mq_status.created_at IS 'when it was published';
COMMENT ON COLUMN @schema@.mq_status.target IS '<space>.<service>.<entity>.<method_name>: the NATS subject';
COMMENT ON COLUMN @schema@.mq_status.status IS 'later until it is sent, waiting until it is settled, then the status of the reply';
COMMENT ON COLUMN @schema@.mq_status.age IS 'time from its publish to the begin of the statement that asks';
COMMENT ON COLUMN @schema@.mq_status.attempts IS 'how often it was sent';
COMMENT ON COLUMN @schema@.mq_status.result IS 'the answer';
COMMENT ON COLUMN @schema@.mq_status.error IS 'the JSON-RPC error object';
COMMENT ON COLUMN @schema@.mq_status.trace_id IS 'its trace, 32 hex digits';
COMMENT ON COLUMN @schema@.mq_status.uid IS 'its identity everywhere; null until it is sent';
COMMENT ON COLUMN @schema@.mq_status.responder IS 'who answered: service/version/copy';
COMMENT ON COLUMN @schema@.mq_status.sent_at IS 'when it was sent first';
COMMENT ON COLUMN @schema@.mq_status.send_at IS 'when it is to be sent; null as soon as it is in the outbox';
COMMENT ON COLUMN @schema@.mq_status.retry_of IS 'id of the message that this one repeats; null: of none';
COMMENT ON COLUMN @schema@.mq_status.ordering_key IS 'messages to one service with one key are sent one after the other; null: in no order';

-- For programs that name every column and say RETURNING *: a row goes through it into the outbox and comes back whole, and a
-- SELECT finds none. So a publisher reads what it has written itself, and no body of anybody else.
CREATE VIEW @schema@.mq_send AS
    SELECT p.id, p.protocol, p.space_name, p.service_name, p.entity, p.method_name, p.timeout,
           p.headers, p.body, p.created_at, p.reply_to, p.expires_at, p.traceparent, p.tracestate, p.priority,
           p.ordering_key, p.on_reply
      FROM @schema@.mq_publish p
     WHERE false;
COMMENT ON VIEW @schema@.mq_send IS 'publishes what is inserted, and returns it by RETURNING *; shows nothing';
COMMENT ON COLUMN @schema@.mq_send.id IS 'number of the message, as it was given';
COMMENT ON COLUMN @schema@.mq_send.protocol IS 'jsonrpc or json';
COMMENT ON COLUMN @schema@.mq_send.space_name IS 'first token of the subject';
COMMENT ON COLUMN @schema@.mq_send.service_name IS 'second token: the service that answers';
COMMENT ON COLUMN @schema@.mq_send.entity IS 'third token';
COMMENT ON COLUMN @schema@.mq_send.method_name IS 'fourth token';
COMMENT ON COLUMN @schema@.mq_send.timeout IS 'seconds to wait for the reply; 0: an event';
COMMENT ON COLUMN @schema@.mq_send.headers IS 'what travels beside the body';
COMMENT ON COLUMN @schema@.mq_send.body IS 'what is sent';
COMMENT ON COLUMN @schema@.mq_send.created_at IS 'when it is published';
COMMENT ON COLUMN @schema@.mq_send.reply_to IS 'label to which the sidecar publishes the bare reply as well';
COMMENT ON COLUMN @schema@.mq_send.expires_at IS 'after which it is no longer worth sending';
COMMENT ON COLUMN @schema@.mq_send.traceparent IS 'the span of publishing';
COMMENT ON COLUMN @schema@.mq_send.tracestate IS 'names the parent of that span';
COMMENT ON COLUMN @schema@.mq_send.priority IS '0 to 3: shares of what waits for one service';
COMMENT ON COLUMN @schema@.mq_send.ordering_key IS 'messages to one service with one key are sent one after the other; null: in no order';
COMMENT ON COLUMN @schema@.mq_send.on_reply IS 'the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one';

-- The keys of tpro.publish_once. A plain table: nothing unique would hold over partitions by the day.
CREATE TABLE @schema@.mq_dedup (
    dedup_key text COLLATE "C" PRIMARY KEY,
    mq_id bigint NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX mq_dedup_until ON @schema@.mq_dedup (until);
COMMENT ON TABLE @schema@.mq_dedup IS 'the keys that messages were published under once, for as long as they hold';
COMMENT ON COLUMN @schema@.mq_dedup.dedup_key IS 'the key, as its publisher gave it';
COMMENT ON COLUMN @schema@.mq_dedup.mq_id IS 'mq_publish.id of the first message under it, which may be gone by now';
COMMENT ON COLUMN @schema@.mq_dedup.until IS 'after which the key is free; maintenance drops the row';
COMMENT ON INDEX @schema@.mq_dedup_until IS 'what maintenance drops by';

-- A row that is inserted goes into the outbox unless its key is held, and comes back with the id that has the key. A SELECT finds none.
-- All columns may be named; id and created only with DEFAULT.
CREATE VIEW @schema@.mq_once AS
    SELECT NULL::bigint AS id, NULL::boolean AS created, NULL::text AS dedup_key, NULL::interval AS dedup_for,
           p.protocol, p.space_name, p.service_name, p.entity, p.method_name, p.timeout,
           p.headers, p.body, p.created_at, p.reply_to, p.expires_at, p.traceparent, p.tracestate, p.priority, NULL::timestamptz AS send_at,
           p.ordering_key, p.on_reply
      FROM @schema@.mq_publish p
     WHERE false;
ALTER VIEW @schema@.mq_once ALTER dedup_for SET DEFAULT '1 day';
ALTER VIEW @schema@.mq_once ALTER protocol SET DEFAULT 'jsonrpc';
ALTER VIEW @schema@.mq_once ALTER space_name SET DEFAULT tpro.space();
ALTER VIEW @schema@.mq_once ALTER timeout SET DEFAULT 15;
ALTER VIEW @schema@.mq_once ALTER headers SET DEFAULT '{}';
ALTER VIEW @schema@.mq_once ALTER body SET DEFAULT '{}';
ALTER VIEW @schema@.mq_once ALTER created_at SET DEFAULT clock_timestamp();
ALTER VIEW @schema@.mq_once ALTER traceparent SET DEFAULT tpro.new_traceparent();
ALTER VIEW @schema@.mq_once ALTER tracestate SET DEFAULT tpro.new_tracestate();
ALTER VIEW @schema@.mq_once ALTER priority SET DEFAULT 0;
CREATE TRIGGER once INSTEAD OF INSERT ON @schema@.mq_once FOR EACH ROW EXECUTE FUNCTION tpro.once();
COMMENT ON TRIGGER once ON @schema@.mq_once IS 'publishes if the key is free';
COMMENT ON VIEW @schema@.mq_once IS 'publishes what is inserted unless its key is held, and returns the id that has the key; shows nothing';
COMMENT ON COLUMN @schema@.mq_once.id IS 'number of the first message under this key';
COMMENT ON COLUMN @schema@.mq_once.created IS 'whether this row is that message; else it was published before';
COMMENT ON COLUMN @schema@.mq_once.dedup_key IS 'names the effect that must not come twice: 1 to 200 bytes';
COMMENT ON COLUMN @schema@.mq_once.dedup_for IS 'how long the key is held from its first message on: up to 30 days';
COMMENT ON COLUMN @schema@.mq_once.protocol IS 'jsonrpc or json';
COMMENT ON COLUMN @schema@.mq_once.space_name IS 'first token of the subject';
COMMENT ON COLUMN @schema@.mq_once.service_name IS 'second token: the service that answers';
COMMENT ON COLUMN @schema@.mq_once.entity IS 'third token';
COMMENT ON COLUMN @schema@.mq_once.method_name IS 'fourth token';
COMMENT ON COLUMN @schema@.mq_once.timeout IS 'seconds to wait for the reply; 0: an event';
COMMENT ON COLUMN @schema@.mq_once.headers IS 'what travels beside the body';
COMMENT ON COLUMN @schema@.mq_once.body IS 'what is sent';
COMMENT ON COLUMN @schema@.mq_once.created_at IS 'when it is published';
COMMENT ON COLUMN @schema@.mq_once.reply_to IS 'label to which the sidecar publishes the bare reply as well';
COMMENT ON COLUMN @schema@.mq_once.expires_at IS 'after which it is no longer worth sending';
COMMENT ON COLUMN @schema@.mq_once.traceparent IS 'the span of publishing, of a message that is created';
COMMENT ON COLUMN @schema@.mq_once.tracestate IS 'names the parent of that span';
COMMENT ON COLUMN @schema@.mq_once.priority IS '0 to 3: shares of what waits for one service';
COMMENT ON COLUMN @schema@.mq_once.send_at IS 'when it is to be sent; null: at once';
COMMENT ON COLUMN @schema@.mq_once.ordering_key IS 'messages to one service with one key are sent one after the other; null: in no order';
COMMENT ON COLUMN @schema@.mq_once.on_reply IS 'the function that handles the reply to this message, by its name; null: that of tpro.on_reply, if there is one';

-- The functions that answer methods of this service. A function's name is a text: a column of type regprocedure would block pg_upgrade.
CREATE TABLE @schema@.mq_handler (
    entity tpro.entity,
    method_name tpro.method_name,
    handler text NOT NULL,
    mode text NOT NULL CONSTRAINT mq_handler_mode_rule CHECK (mode IN ('transactional', 'stateless')),
    timeout integer CONSTRAINT mq_handler_timeout_rule CHECK (timeout BETWEEN 1 AND 86400),
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    description text,
    body_schema jsonb,
    result_schema jsonb,
    PRIMARY KEY (entity, method_name)
);

COMMENT ON TABLE @schema@.mq_handler IS 'the methods of this service that functions in SQL answer; tpro.handle() writes it';
COMMENT ON COLUMN @schema@.mq_handler.entity IS 'third token of the subject';
COMMENT ON COLUMN @schema@.mq_handler.method_name IS 'fourth token of the subject';
COMMENT ON COLUMN @schema@.mq_handler.handler IS 'the function, by its name';
COMMENT ON COLUMN @schema@.mq_handler.mode IS 'transactional or stateless';
COMMENT ON COLUMN @schema@.mq_handler.timeout IS 'the longest time that a message has, in seconds; null: as long as its requester waits';
COMMENT ON COLUMN @schema@.mq_handler.since IS 'when tpro.handle() said so last';
COMMENT ON COLUMN @schema@.mq_handler.description IS 'what the method does, by tpro.describe(); null: the comment on the function';
COMMENT ON COLUMN @schema@.mq_handler.body_schema IS 'JSON Schema of its body, by tpro.describe(); null: not known';
COMMENT ON COLUMN @schema@.mq_handler.result_schema IS 'JSON Schema of its result, by tpro.describe(); null: not known';

-- The functions that handle replies of methods. What is taken back leaves a row without functions.
CREATE TABLE @schema@.mq_callback (
    service_name tpro.service_name,
    entity tpro.entity,
    method_name tpro.method_name,
    ok text,
    failed text,
    number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT mq_callback_number_key UNIQUE,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (service_name, entity, method_name)
);

COMMENT ON TABLE @schema@.mq_callback IS 'the methods whose replies functions in SQL handle; tpro.on_reply() writes it';
COMMENT ON COLUMN @schema@.mq_callback.service_name IS 'the service that is asked';
COMMENT ON COLUMN @schema@.mq_callback.entity IS 'third token of the subject';
COMMENT ON COLUMN @schema@.mq_callback.method_name IS 'fourth token of the subject';
COMMENT ON COLUMN @schema@.mq_callback.ok IS 'the function for replies with status ok, by its name; null: none';
COMMENT ON COLUMN @schema@.mq_callback.failed IS 'the function for all other replies, by its name; null: none';
COMMENT ON COLUMN @schema@.mq_callback.number IS 'grows with each change, so that the dispatcher sees that there was one';
COMMENT ON SEQUENCE @schema@.mq_callback_number_seq IS 'numbers of changes of reply handlers';
COMMENT ON COLUMN @schema@.mq_callback.since IS 'when tpro.on_reply() or tpro.off_reply() said so last';

-- The ordering keys that are held: a message whose headers say "on_error": "hold" has failed. As long as there is a row, none of its key is
-- sent but the messages that stand here: those that failed are settled, and tpro.retry() adds the copy that it makes of one. The row of the
-- first stays when a copy is added, so that a dispatcher that asks for it alone learns that the key is held.
CREATE TABLE @schema@.mq_hold (
    id bigint PRIMARY KEY,
    space_name tpro.space_name,
    service_name tpro.service_name,
    ordering_key text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX mq_hold_ordering_key ON @schema@.mq_hold (ordering_key);

COMMENT ON TABLE @schema@.mq_hold IS 'ordering keys whose messages wait because one of them has failed, until tpro.retry() or tpro.release()';
COMMENT ON COLUMN @schema@.mq_hold.id IS 'number of a message that failed, or of a copy that tpro.retry() has made of it; of its key only these may be sent';
COMMENT ON COLUMN @schema@.mq_hold.space_name IS 'first token of the subject';
COMMENT ON COLUMN @schema@.mq_hold.service_name IS 'the service that is asked';
COMMENT ON COLUMN @schema@.mq_hold.ordering_key IS 'the key that is held';
COMMENT ON COLUMN @schema@.mq_hold.since IS 'when the message failed';
COMMENT ON INDEX @schema@.mq_hold_ordering_key IS 'the rows of a key, for tpro.release()';

-- ---------------------------------------------------------------------------------------------------------------------
-- The inbox
-- ---------------------------------------------------------------------------------------------------------------------

-- The uid is key and time at once, so that a repeat is found in whichever partition its first delivery is.
CREATE TABLE @schema@.mq_receive (
    uid uuid,
    run integer,
    copy_key integer NOT NULL,
    source text,
    target text NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline timestamptz NOT NULL,
    proof text,
    PRIMARY KEY (uid, run)
) PARTITION BY RANGE (uid);
COMMENT ON TABLE @schema@.mq_receive IS 'inbox: what this service has accepted; a row for each run of its handler';
COMMENT ON COLUMN @schema@.mq_receive.uid IS 'the message';
COMMENT ON COLUMN @schema@.mq_receive.run IS 'which run of the handler: the next if its owner died';
COMMENT ON COLUMN @schema@.mq_receive.copy_key IS 'the copy that runs it, as it says in tpro.present(); 0: no run, its handler has put off the one before';
COMMENT ON COLUMN @schema@.mq_receive.source IS 'who asks: service/instance; null: a stranger';
COMMENT ON COLUMN @schema@.mq_receive.target IS 'the subject it came by';
COMMENT ON COLUMN @schema@.mq_receive.attempt IS 'which attempt of the requester it was';
COMMENT ON COLUMN @schema@.mq_receive.at IS 'when it was accepted';
COMMENT ON COLUMN @schema@.mq_receive.deadline IS 'when its owner stops: after it a repeat runs, though the owner lives';
COMMENT ON COLUMN @schema@.mq_receive.proof IS 'what a repeat must prove: k:<its Tpro-Key>, or d:<digest of its params> of a stranger; null: not known';

CREATE TABLE @schema@.mq_outcome (
    uid uuid PRIMARY KEY,
    run integer NOT NULL,
    answer jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (uid);
COMMENT ON TABLE @schema@.mq_outcome IS 'inbox: what this service has answered; a repeat gets it again; the first row wins';
COMMENT ON COLUMN @schema@.mq_outcome.uid IS 'the message';
COMMENT ON COLUMN @schema@.mq_outcome.run IS 'the run that made it';
COMMENT ON COLUMN @schema@.mq_outcome.answer IS '{"result": ...} or {"error": ...}';
COMMENT ON COLUMN @schema@.mq_outcome.at IS 'when it was stored';

DO $$
DECLARE
    today CONSTANT date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    days CONSTANT integer := 7;
    parent text;
    suffix text;
    low text;
    high text;
BEGIN
    FOR n IN 0 .. days + 1 LOOP
        FOR parent, suffix, low, high IN
            -- The bound of a day: its first millisecond in the 48 bits of time, nothing in the rest.
            SELECT p.parent,
                   CASE n WHEN 0 THEN 'p00000000_' || to_char(today + 1, 'YYYYMMDD') WHEN days + 1 THEN 'rest'
                          ELSE format('p%s_%s', to_char(today + n, 'YYYYMMDD'), to_char(today + n + 1, 'YYYYMMDD')) END,
                   CASE n WHEN 0 THEN 'MINVALUE' ELSE format('%L', b.low) END,
                   CASE n WHEN days + 1 THEN 'MAXVALUE' ELSE format('%L', b.high) END
              FROM unnest(ARRAY['mq_receive', 'mq_outcome']) AS p(parent),
                   LATERAL (SELECT
                       rpad(lpad(to_hex((extract(epoch FROM today + n) * 1000)::bigint), 12, '0'), 32, '0')::uuid AS low,
                       rpad(lpad(to_hex((extract(epoch FROM today + n + 1) * 1000)::bigint), 12, '0'), 32, '0')::uuid AS high) b
        LOOP
            EXECUTE format('CREATE TABLE @schema@.%1$I PARTITION OF @schema@.%2$I FOR VALUES FROM (%3$s) TO (%4$s)',
                           parent || '_' || suffix, parent, low, high);
            EXECUTE format('COMMENT ON TABLE @schema@.%I IS %L', parent || '_' || suffix,
                           format('%s, uids from %s to below %s', parent, low, high));
        END LOOP;
    END LOOP;
END
$$;

-- The key of this service. One that is left from a schema of this name before is another service's.
INSERT INTO tpro.service_key (service) VALUES (left('@schema@', -8));

-- ---------------------------------------------------------------------------------------------------------------------
-- Who may what
-- ---------------------------------------------------------------------------------------------------------------------

REVOKE ALL ON SCHEMA @schema@ FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA @schema@ FROM PUBLIC;

-- A publisher gives neither the identity of a message nor its transaction, and reads no body. It names no on_reply: that function runs
-- with the rights of the sidecar, and could read bodies.
GRANT USAGE ON SCHEMA @schema@ TO @publisher@;
GRANT USAGE ON SEQUENCE @schema@.mq_publish_id_seq TO @publisher@;
GRANT INSERT (protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to,
              expires_at, traceparent, tracestate, priority, ordering_key),
      SELECT (id, traceparent)
    ON @schema@.mq_publish TO @publisher@;
GRANT INSERT (protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to, expires_at,
              traceparent, tracestate, priority, ordering_key), SELECT
    ON @schema@.mq_send TO @publisher@;
GRANT INSERT (on_reply) ON @schema@.mq_send TO @sidecar@;
GRANT INSERT (send_at, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to,
              expires_at, traceparent, tracestate, priority, ordering_key),
      SELECT (id, traceparent)
    ON @schema@.mq_later TO @publisher@;
GRANT INSERT (send_at, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to,
              expires_at, traceparent, tracestate, priority, ordering_key, on_reply),
      SELECT
    ON @schema@.mq_later TO @sidecar@;
GRANT INSERT (id, created, dedup_key, dedup_for, protocol, space_name, service_name, entity, method_name, timeout, headers, body,
              created_at, reply_to, expires_at, traceparent, tracestate, priority, send_at, ordering_key),
      SELECT
    ON @schema@.mq_once TO @publisher@;
GRANT INSERT, SELECT ON @schema@.mq_once TO @sidecar@;
GRANT SELECT ON @schema@.mq_dedup, @schema@.mq_handler, @schema@.mq_callback TO @sidecar@;

GRANT USAGE ON SCHEMA @schema@ TO @sidecar@;
GRANT USAGE, SELECT ON SEQUENCE @schema@.mq_publish_id_seq TO @sidecar@;
GRANT SELECT ON @schema@.mq_publish, @schema@.mq_reply, @schema@.mq_reply_fault, @schema@.mq_cursor, @schema@.mq_status,
                @schema@.mq_receive, @schema@.mq_outcome, @schema@.mq_backlog
    TO @sidecar@;
GRANT INSERT (id, uid, protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, direct,
              reply_to, expires_at, traceparent, tracestate, priority, ordering_key, on_reply)
    ON @schema@.mq_publish TO @sidecar@;
GRANT INSERT ON @schema@.mq_reply, @schema@.mq_reply_fault, @schema@.mq_receive, @schema@.mq_outcome TO @sidecar@;
GRANT SELECT, INSERT ON @schema@.mq_hold TO @sidecar@;
GRANT UPDATE (snapshot, pending, clean, moved_at) ON @schema@.mq_cursor TO @sidecar@;
GRANT UPDATE (unsettled, upto) ON @schema@.mq_backlog TO @sidecar@;

GRANT USAGE ON SCHEMA @schema@ TO tpro_reader, tpro_operator;
GRANT SELECT (id, created_at, target, status, age, attempts, trace_id, uid, responder, sent_at, send_at, retry_of, ordering_key)
    ON @schema@.mq_status TO tpro_reader, tpro_operator;
GRANT SELECT ON @schema@.mq_hold TO tpro_reader, tpro_operator;

GRANT EXECUTE ON FUNCTION
    tpro.publish(text, text, text, jsonb, jsonb, integer, text, text, text, text),
    tpro.trace_id(bigint, text), tpro.reply(bigint, text), tpro.wait(bigint, integer, text),
    tpro.must_see_replies(text), tpro.no_message(bigint, text), tpro.backlog(text)
    TO @publisher@, @sidecar@;
GRANT EXECUTE ON PROCEDURE
    tpro.request(text, text, text, jsonb, jsonb, integer, text, text, text, text, jsonb)
    TO @publisher@, @sidecar@;
GRANT EXECUTE ON FUNCTION
    tpro.lead(text), tpro.sleep(text), tpro.wake(text), tpro.maintain(text), tpro.present(text, integer), tpro.is_present(text, integer),
    tpro.depose(text), tpro.instance(), tpro.adopted(), tpro.sign(text, bytea),
    tpro.partitions(text), tpro.partition_kept(text, text, regclass, bigint, bigint, bigint, boolean),
    tpro.partition_words(text, bigint, bigint), tpro.partition_label(text, bigint), tpro.partition_key(text),
    tpro.next_key(text, text), tpro.mend_partitions(text, text, bigint), tpro.make_partitions(text, text, bigint),
    tpro.drop_partition(text, oid, bigint), tpro.drop_dedup_keys(text, integer), tpro.replied(text, bigint[]),
    tpro.end_holds(text, bigint[]),
    tpro.serves(text, text, text, text, jsonb), tpro.serves_no_more(text, text, text), tpro.hears(text), tpro.heard(text, jsonb),
    tpro.send_due(text, timestamptz, integer)
    TO @sidecar@;

-- The owner of everything is tpro_owner: no superuser, and no role that a service's login is or can become, for what reads a table
-- runs its owner's code (policies, triggers, rules, defaults) with the reader's rights.
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT c.relname, c.relkind FROM pg_class c
                 WHERE c.relnamespace = '@schema@'::regnamespace AND c.relkind IN ('r', 'p', 'v') LOOP
        EXECUTE format('ALTER %s @schema@.%I OWNER TO tpro_owner', CASE part.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, part.relname);
    END LOOP;
END
$$;
ALTER SCHEMA @schema@ OWNER TO tpro_owner;
