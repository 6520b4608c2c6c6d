-- Undoes sql/login.sql: the service's schema with everything in it, settled or not, and its roles. Run by `make down-all-NAME`.
--   psql -v name=billing -f sql/logout.sql
-- It drops nothing outside of the service's schema. A role that something else needs stays, and so does one that tpro has not made.
\set ON_ERROR_STOP on

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SELECT set_config('login.service', :'name', true) AS service \gset
DO $$
DECLARE
    service text := current_setting('login.service');
    -- A schema of this name that has no outbox with the bell is none of ours.
    ours boolean;
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    login oid;
    outside text;
    others text;
    role record;
BEGIN
    IF to_regnamespace('tpro') IS NULL THEN
        RAISE undefined_object USING
            MESSAGE = 'the extension pg_tpro is not in this database',
            HINT = 'CREATE EXTENSION pg_tpro, as a superuser.';
    END IF;
    IF to_regprocedure('tpro.must_be_name(text)') IS NOT NULL THEN
        PERFORM tpro.must_be_name(service);
    END IF;
    ours := EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = service);
    IF NOT ours AND to_regnamespace(quote_ident(service || '_service')) IS NOT NULL THEN
        RAISE invalid_schema_name USING
            MESSAGE = format('schema %s_service was not made by tpro', service),
            DETAIL = 'Nothing of it has been changed.';
    END IF;
    SELECT r.oid INTO login FROM pg_roles r
     WHERE r.rolname = service
       AND (shobj_description(r.oid, 'pg_authid') = 'tpro: login of service ' || service
            -- Made by release 0.1.0.
            OR (NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)
                AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                             WHERE m.member = r.oid AND g.rolname = service || '_sidecar'
                               AND shobj_description(g.oid, 'pg_authid') LIKE 'tpro: %')));
    IF login IS NULL AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = service) THEN
        IF NOT ours THEN
            RAISE undefined_object USING
                MESSAGE = format('role %s was not made by tpro', service),
                DETAIL = 'Nothing of it has been changed.';
        END IF;
        RAISE NOTICE 'role % stays: it was not made by tpro', service;
    END IF;

    -- DROP SCHEMA ... CASCADE would take what hangs on it elsewhere: a view over mq_status, a foreign key, a partition.
    SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), '; ') INTO outside
      FROM pg_namespace n
     CROSS JOIN LATERAL (SELECT 'pg_namespace'::regclass AS class, n.oid
                          UNION ALL SELECT 'pg_class'::regclass, c.oid FROM pg_class c WHERE c.relnamespace = n.oid
                          UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p WHERE p.pronamespace = n.oid
                          UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t WHERE t.typnamespace = n.oid
                          UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c WHERE c.connamespace = n.oid) o
      JOIN pg_depend d ON d.refclassid = o.class AND d.refobjid = o.oid
     CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) one
     CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) address
     WHERE ours AND n.nspname = service || '_service'
       AND d.classid <> 'pg_default_acl'::regclass
       AND coalesce(one.schema, address.object_names[1]) NOT IN (n.nspname, 'pg_toast');
    IF outside IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = format('something outside of schema %s_service hangs on it: %s', service, outside),
            DETAIL = 'Nothing has been changed.',
            HINT = 'Drop or change that first.';
    END IF;

    -- Roles belong to the cluster: another database may have this service too.
    SELECT string_agg(DISTINCT d.datname, ', ') INTO others
      FROM pg_database d
     WHERE d.oid <> here
       AND (EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = login)
            OR EXISTS (SELECT FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
                        WHERE s.dbid = d.oid AND s.refclassid = 'pg_authid'::regclass
                          AND (r.oid = login OR r.rolname IN (service || '_sidecar', service || '_publisher'))));

    -- Rights that the groups have outside of the schema would keep them. What they own, and policies, are no rights to be taken.
    FOR role IN SELECT r.oid, r.rolname FROM pg_roles r
                 WHERE others IS NULL AND ours AND r.rolname IN (service || '_publisher', service || '_sidecar')
                   AND shobj_description(r.oid, 'pg_authid') LIKE 'tpro: %'
                   AND NOT EXISTS (SELECT FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass
                                      AND s.refobjid = r.oid AND s.deptype IN ('o', 'r')) LOOP
        EXECUTE format('DROP OWNED BY %I', role.rolname);
    END LOOP;
    IF ours THEN
        PERFORM tpro.drop_service(service, force => true);
    END IF;

    IF login IS NOT NULL THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET tpro.sender', service, current_database());
        IF others IS NULL AND NOT EXISTS (SELECT FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass
                                             AND s.refobjid = login AND s.deptype IN ('o', 'r')) THEN
            EXECUTE format('DROP OWNED BY %1$I; DROP ROLE %1$I', service);
        ELSE
            RAISE NOTICE 'role % stays: %', service,
                coalesce('it is used in database ' || others || ', too',
                         'it owns, or a policy names it: ' || (
                             SELECT string_agg(CASE WHEN s.dbid = here THEN pg_describe_object(s.classid, s.objid, s.objsubid)
                                                    ELSE 'something of the cluster' END, '; ')
                               FROM pg_shdepend s
                              WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = login AND s.deptype IN ('o', 'r')));
        END IF;
    END IF;
END
$$;
COMMIT;
