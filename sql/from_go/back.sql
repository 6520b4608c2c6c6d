-- The parts of the way back to the Go system, which `tpro migrate back` and `tpro migrate send` run. They are of the session and go with it.

-- The schemas get their names back, and what waits is put into the old outbox. `after` is the id beyond which the Go copies have sent
-- nothing, `taken` the number of messages that waited, `left_behind` of those that a Go copy could not send.
CREATE OR REPLACE FUNCTION pg_temp.from_go_back(service text, OUT after bigint, OUT taken bigint, OUT left_behind bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' SET row_security = off
AS $$
DECLARE
    schema_name text := service || '_service';
    old_name text := service || '_service_go';
    new_name text := service || '_service_new';
    leader integer;
    looked pg_snapshot;
    waiting bigint[];
    later bigint;
BEGIN
    PERFORM pg_temp.from_go_must_have_superuser();
    IF NOT EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = service) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema %s is not a service of tpro, so there is no way back from it', schema_name),
            HINT = 'Name a service that tpro migrate run has taken over.';
    END IF;
    IF to_regclass(format('%I.mq_publish', old_name)) IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('there is no schema %s to go back to', old_name),
            HINT = 'The way back ends when that schema is dropped.';
    END IF;
    IF to_regnamespace(quote_ident(new_name)) IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema %s is there already', new_name),
            HINT = 'It is of an earlier way back. Drop or rename it.';
    END IF;
    SELECT s.leader_pid INTO leader FROM tpro.services s WHERE s.name = service;
    IF leader IS NOT NULL THEN
        RAISE object_in_use USING
            MESSAGE = format('a copy of %s leads, by backend %s', service, leader),
            HINT = format('Stop all copies of tpro first: make stop-%s.', service);
    END IF;
    -- The old times have no zone. They are of the zone of the database, and this session may have another one.
    PERFORM set_config('TimeZone', (SELECT s.reset_val FROM pg_settings s WHERE s.name = 'TimeZone'), true);
    -- The look at all messages takes its time. Under the lock, only those are looked at that this one may have missed.
    looked := pg_current_snapshot();
    EXECUTE format('SELECT coalesce(array_agg(p.id::bigint), ''{}'') FROM %1$I.mq_publish p
                     WHERE NOT p.direct AND NOT EXISTS (SELECT FROM %1$I.mq_reply r WHERE r.mq_id = p.id)', schema_name) INTO waiting;
    -- Open publishes end first; new ones wait, and then find the old table by its name.
    EXECUTE format('LOCK TABLE %1$I.mq_publish, %1$I.mq_later IN ACCESS EXCLUSIVE MODE', schema_name);
    PERFORM set_config('lock_timeout', '5s', true);
    EXECUTE format('SELECT coalesce(array_agg(p.id::bigint ORDER BY p.id), ''{}'') FROM %1$I.mq_publish p
                     WHERE (p.id = ANY ($1) OR p.tx >= pg_snapshot_xmin($2)) AND NOT p.direct
                       AND NOT EXISTS (SELECT FROM %1$I.mq_reply r WHERE r.mq_id = p.id)', schema_name) INTO waiting USING waiting, looked;
    EXECUTE format('SELECT count(*) FROM %I.mq_later', schema_name) INTO later;
    EXECUTE format('ALTER SCHEMA %I RENAME TO %I', schema_name, new_name);
    EXECUTE format('ALTER SCHEMA %I RENAME TO %I', old_name, schema_name);
    -- No id means two messages, here and in the history.
    EXECUTE format('SELECT greatest(n.last_value, (SELECT max(p.id) FROM %2$I.mq_publish p)) FROM %1$I.mq_publish_id_seq n',
                   new_name, schema_name) INTO after;
    PERFORM setval(pg_get_serial_sequence(format('%I.mq_publish', schema_name), 'id')::regclass, after);
    -- A Go copy knows one protocol and bodies that are objects, and nobody can read an event of it.
    EXECUTE format($q$
        INSERT INTO %I.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at, reply_to)
        SELECT p.protocol, p.space_name, p.service_name, p.entity, p.method_name, p.timeout, p.headers, p.body, p.created_at, p.reply_to
          FROM %I.mq_publish p
         WHERE p.id = ANY ($1) AND p.protocol = 'jsonrpc' AND jsonb_typeof(p.body) = 'object' AND p.timeout > 0 ORDER BY p.id
    $q$, schema_name, new_name) USING waiting;
    GET DIAGNOSTICS taken = ROW_COUNT;
    left_behind := cardinality(waiting) - taken + later;
END
$$;

-- Has the Go copies send what was published beyond an id while none of them listened. A copy sends again those that it has heard of.
-- A publish that is open now notifies by itself, later than this. Returns how many messages they are.
CREATE OR REPLACE FUNCTION pg_temp.from_go_send(service text, after bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    channel text := format('task_for_%s_service', service);
    told bigint;
BEGIN
    PERFORM pg_temp.from_go_must_have_superuser();
    IF to_regclass(format('%I.mq_publish', service || '_service')) IS NULL OR EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = service) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema %s_service is not that of a Go service', service),
            HINT = format('First of all: tpro migrate back %s.', service);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_stat_activity a
                    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND lower(a.query) ~ format('^\s*listen\s+"?%s"?\s*;?\s*$', channel)) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('no Go copy of %s listens to %s', service, channel),
            HINT = 'Start the Go copies first: a notification that nobody hears is lost.';
    END IF;
    EXECUTE format('SELECT count(pg_notify($1, t.id)) FROM (SELECT p.id::text FROM %I.mq_publish p
                                                             WHERE NOT p.direct AND p.id > $2 ORDER BY p.id) t', service || '_service')
       INTO told USING channel, after;
    RETURN told;
END
$$;

-- The way back, for a caller who tries again: null while others hold the table.
CREATE OR REPLACE FUNCTION pg_temp.from_go_try_back(service text, OUT after bigint, OUT taken bigint, OUT left_behind bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT b.after, b.taken, b.left_behind INTO after, taken, left_behind FROM pg_temp.from_go_back(service) b;
EXCEPTION WHEN lock_not_available THEN
    after := NULL;
END
$$;
