-- pg_tpro 0.1.0 to 0.1.1, by hand. Run by ALTER EXTENSION pg_tpro UPDATE as a superuser, under load if need be: it locks no
-- table of a service. What those tables need is done by tpro.upgrade_service(), for each service by itself.
--
-- What 0.1.0 has keeps its identity: a function is replaced and not dropped, for the grants of users and services are on it.
-- No GRANT and no REVOKE names a function that services have a right to: PostgreSQL would take those rights for the
-- extension's own, and pg_dump would leave them out. Rights of services are granted by tpro.upgrade_service().
\echo Use "ALTER EXTENSION pg_tpro UPDATE" to load this file. \quit

CREATE OR REPLACE FUNCTION tpro.check_body(value pg_catalog.jsonb) RETURNS boolean
    AS 'MODULE_PATHNAME', 'check_body_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION tpro.check_body(pg_catalog.jsonb) IS 'rule of column body: not null (else 22023), at most 64 MiB of text and 127 levels (else 54000)';

CREATE FUNCTION tpro.refuse() RETURNS trigger
    AS 'MODULE_PATHNAME', 'refuse_wrapper' LANGUAGE c;
COMMENT ON FUNCTION tpro.refuse() IS
    'trigger of each outbox, for rows that its WHEN finds to be refused: 54000 the body is too large, 22023 the transaction is another';

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
COMMENT ON FUNCTION tpro.create_service(pg_catalog.text) IS
    'makes schema <name>_service with the tables of a service, and its roles; 42P06 exists, 42602 bad name, 42939 reserved, 55000 the extension is to be updated first';

-- SECURITY DEFINER, as create_service. It drops only what that has made.
CREATE OR REPLACE FUNCTION tpro.drop_service(name pg_catalog.text, force pg_catalog.bool DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name text := tpro.sender_schema(drop_service.name)::text;
    patience text := current_setting('lock_timeout');
    unsettled boolean;
    role record;
    routine regprocedure;
BEGIN
    IF NOT EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = drop_service.name) THEN
        RAISE invalid_schema_name USING MESSAGE = format('schema %s is not that of a service', schema_name);
    END IF;
    IF NOT force THEN
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
                EXECUTE format('LOCK TABLE %s.mq_publish IN SHARE ROW EXCLUSIVE MODE', schema_name);
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
-- shows with this search_path has a lower-case letter before the parenthesis of a call, and a dot in each foreign name.
CREATE FUNCTION tpro.foreign_code(service pg_catalog.text) RETURNS SETOF pg_catalog.text
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_oid CONSTANT oid := tpro.sender_schema(foreign_code.service)::oid;
    ours CONSTANT text := 'nextval\(''[a-z0-9_.]+''::regclass\)|pg_current_xact_id\(|clock_timestamp\(|::tpro\.[a-z_]+'
        '|tpro\.(uuid7|space|new_traceparent|new_tracestate|check_[a-z_]+)\(';
    foreign_call CONSTANT text := '[a-z0-9_"]\(|\.';
    our_table CONSTANT text := '^mq_(publish|reply|receive|outcome)(_p[0-9]+_[0-9]+|_rest|_next|_id_seq)?$';
BEGIN
    RETURN QUERY
    WITH tables AS (
        SELECT c.* FROM pg_class c
         WHERE c.relnamespace = schema_oid AND c.relkind IN ('r', 'p', 'f', 'm') AND c.relname LIKE 'mq\_%'
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
     WHERE NOT g.tgisinternal AND p.pronamespace <> 'tpro'::regnamespace
    UNION ALL
    SELECT format('default of %s.%s: %s', t.relname, a.attname, e.text)
      FROM tables t JOIN pg_attrdef d ON d.adrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum,
           pg_get_expr(d.adbin, d.adrelid) AS e(text)
     WHERE regexp_replace(e.text, ours, '', 'g') ~ foreign_call
    UNION ALL
    SELECT format('type of %s.%s: %s', t.relname, a.attname, a.atttypid::regtype)
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type y ON y.oid = a.atttypid
     WHERE y.typnamespace NOT IN ('pg_catalog'::regnamespace, 'tpro'::regnamespace)
    UNION ALL
    SELECT format('constraint %s of %s: %s', k.conname, t.relname, e.text)
      FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid, pg_get_constraintdef(k.oid) AS e(text)
     WHERE k.contype IN ('c', 'x') AND regexp_replace(e.text, ours, '', 'g') ~ foreign_call
    UNION ALL
    SELECT format('index %s of %s: %s', x.indexrelid::regclass, t.relname, e.text)
      FROM tables t JOIN pg_index x ON x.indrelid = t.oid,
           concat_ws(', ', pg_get_expr(x.indexprs, t.oid), pg_get_expr(x.indpred, t.oid)) AS e(text)
     WHERE e.text ~ foreign_call
    UNION ALL
    SELECT format('statistics %s of %s', s.stxname, t.relname) FROM tables t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
     WHERE s.stxexprs IS NOT NULL
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
-- partitioned one and its partitions; 4 comes when nothing else is left.
CREATE FUNCTION tpro.outdated(service pg_catalog.text)
    RETURNS TABLE (what pg_catalog.text, relation pg_catalog.text, step pg_catalog.int4, statement pg_catalog.text)
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema_name CONSTANT text := tpro.sender_schema(outdated.service)::text;
    schema_oid CONSTANT oid := schema_name::regnamespace::oid;
    maintainer CONSTANT text := outdated.service || '_maintainer';
    sidecar CONSTANT text := outdated.service || '_sidecar';
BEGIN
    RETURN QUERY
    SELECT format('%s may not call %s', sidecar, f), '', 0, format('GRANT EXECUTE ON FUNCTION %s TO %I', f, sidecar)
      FROM unnest(ARRAY['tpro.sign(text, bytea)']::regprocedure[]) f
     WHERE NOT has_function_privilege(sidecar, f, 'EXECUTE')
    UNION ALL
    SELECT format('%s, or a partition of it, belongs to %s', t.parent, maintainer), t.parent, 2,
           format('ALTER TABLE %s.%I OWNER TO tpro_owner', schema_name, t.relname)
      FROM (SELECT c.relname, substring(c.relname FROM '^mq_[a-z]+') AS parent FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
             WHERE c.relnamespace = schema_oid AND c.relkind IN ('r', 'p') AND r.rolname = maintainer
             ORDER BY c.relkind = 'r', c.relname) t
    UNION ALL
    SELECT 'mq_publish has no trigger refuse', 'mq_publish', 3, format(
        'CREATE TRIGGER refuse BEFORE INSERT ON %1$s.mq_publish FOR EACH ROW
             WHEN (NEW.tx <> pg_current_xact_id() OR octet_length(NEW.body::text) > tpro.max_body()) EXECUTE FUNCTION tpro.refuse();
         COMMENT ON TRIGGER refuse ON %1$s.mq_publish IS
             ''refuses a body larger than tpro.max_body, and a transaction that is not the one that inserts''', schema_name)
     WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = to_regclass(format('%s.mq_publish', schema_name))
                          AND g.tgfoid = 'tpro.refuse()'::regprocedure)
    UNION ALL
    SELECT 'mq_status goes by the clock', 'mq_status', 3, format(
        'CREATE OR REPLACE VIEW %1$s.mq_status AS
             SELECT p.id,
                    p.created_at,
                    p.space_name || ''.'' || p.service_name || ''.'' || p.entity || ''.'' || p.method_name AS target,
                    coalesce(r.status, ''waiting'') AS status,
                    statement_timestamp() - p.created_at AS age,
                    r.attempts,
                    r.result,
                    r.error,
                    substr(p.traceparent, 4, 32) AS trace_id
               FROM %1$s.mq_publish p
               LEFT JOIN %1$s.mq_reply r ON r.mq_id = p.id;
         COMMENT ON COLUMN %1$s.mq_status.age IS ''time from its publish to the begin of the statement that asks''', schema_name)
     WHERE pg_get_viewdef(to_regclass(format('%s.mq_status', schema_name))) ~ 'clock_timestamp'
    UNION ALL
    SELECT format('%s has rights in schema %s', maintainer, schema_name), '', 4,
           format('REVOKE ALL ON ALL TABLES IN SCHEMA %1$s FROM %2$I; REVOKE ALL ON SCHEMA %1$s FROM %2$I', schema_name, maintainer)
     WHERE EXISTS (SELECT FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
                    WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'a' AND r.rolname = maintainer
                      AND d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
                      AND (d.classid = 'pg_namespace'::regclass AND d.objid = schema_oid
                           OR d.classid = 'pg_class'::regclass
                              AND d.objid IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = schema_oid)));
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
    <<changes>>
    FOR one IN
        WITH due AS (SELECT o.relation, o.step, o.statement, row_number() OVER () AS n
                       FROM tpro.outdated(upgrade_service.name) o WHERE o.step BETWEEN 1 AND 3)
        SELECT d.relation, d.step, d.statement, d.n FROM due d
         UNION ALL
        SELECT DISTINCT d.relation, 1, format('LOCK TABLE ONLY %s.%I IN ACCESS EXCLUSIVE MODE', schema_name, d.relation), 0
          FROM due d WHERE d.relation <> 'mq_status'
         ORDER BY relation, step, n
    LOOP
        tried := 1;
        LOOP
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
                    EXIT changes;
                END IF;
            END;
            tried := tried + 1;
            PERFORM pg_sleep(0.02 + random() * 0.06);
        END LOOP;
        first_lock := coalesce(first_lock, clock_timestamp());
        IF clock_timestamp() - first_lock > hold THEN
            held := 'it stopped so that nobody waits for longer: call again';
            EXIT;
        END IF;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    IF held IS NOT NULL AND EXISTS (SELECT FROM tpro.outdated(upgrade_service.name) o WHERE o.step BETWEEN 1 AND 3) THEN
        RETURN NEXT held;
    ELSE
        FOR one IN SELECT o.statement FROM tpro.outdated(upgrade_service.name) o WHERE o.step = 4 LOOP
            EXECUTE one.statement;
        END LOOP;
        IF shobj_description(old_role, 'pg_authid') LIKE 'tpro: %' THEN
            BEGIN
                EXECUTE format('DROP ROLE %I', maintainer);
            EXCEPTION WHEN dependent_objects_still_exist THEN
                RAISE NOTICE 'role % stays: it is used elsewhere, perhaps by this service in another database, which is still to be upgraded',
                             maintainer;
            END;
        END IF;
    END IF;
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

-- SECURITY DEFINER: an operator may accept the database without being the owner of all tables.
CREATE OR REPLACE FUNCTION tpro.adopt(service pg_catalog.text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
                                                (SELECT max(r.mq_id) FROM %1$I.mq_reply r)) AS id) m,
                               %1$I.mq_publish_id_seq s
                         WHERE m.id >= s.last_value', one.schema_name);
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
BEGIN
    EXECUTE format('SELECT p.uid FROM %s.mq_publish p WHERE p.id = $1', schema_name) INTO message USING cancel.id;
    GET DIAGNOSTICS settled = ROW_COUNT;
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
-- Who may what, of what is new
-- ---------------------------------------------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION
    tpro.replace_service_key(), tpro.hmac_sha256(pg_catalog.bytea, pg_catalog.bytea), tpro.sign(pg_catalog.text, pg_catalog.bytea),
    tpro.refuse(), tpro.upgrade_service(pg_catalog.text)
    FROM PUBLIC;
REVOKE ALL ON PROCEDURE tpro.upgrade_services(pg_catalog.interval) FROM PUBLIC;

GRANT SELECT, INSERT, DELETE ON tpro.service_key TO tpro_owner;
-- What tpro.sign() calls with its owner's rights.
GRANT EXECUTE ON FUNCTION tpro.must_serve(pg_catalog.text), tpro.hmac_sha256(pg_catalog.bytea, pg_catalog.bytea) TO tpro_owner;
GRANT EXECUTE ON FUNCTION tpro.refuse(), tpro.upgrade_service(pg_catalog.text) TO tpro_owner;
GRANT EXECUTE ON PROCEDURE tpro.upgrade_services(pg_catalog.interval) TO tpro_owner;
-- They show what everybody may read in the catalogues; a copy asks before the rights of its service are upgraded.
GRANT EXECUTE ON FUNCTION tpro.outdated(pg_catalog.text), tpro.foreign_code(pg_catalog.text) TO PUBLIC;
