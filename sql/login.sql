-- A service in this database: schema, and the login role of its sidecar. Run by `make create-sql-NAME`, or by hand as a superuser:
--   LOGIN_PASSWORD=... psql -v name=billing -f sql/login.sql
-- May be run again. It touches nothing but the service's own schema and roles, and refuses those that tpro has not made. For psql 13
-- or newer.
\set ON_ERROR_STOP on
-- The password comes by the environment: everybody can read a command line.
\if `if [ -n "${LOGIN_PASSWORD+set}" ]; then echo true; else echo false; fi`
\set password `printenv LOGIN_PASSWORD`
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SELECT set_config('login.service', :'name', true) AS service \gset
DO $$
DECLARE
    service text := current_setting('login.service');
    login record;
    others text;
BEGIN
    IF to_regnamespace('tpro') IS NULL THEN
        RAISE undefined_object USING
            MESSAGE = 'the extension pg_tpro is not in this database',
            HINT = 'CREATE EXTENSION pg_tpro, as a superuser.';
    END IF;
    -- The one rule for names. Release 0.1.0 has it in create_service() only.
    IF to_regprocedure('tpro.must_be_name(text)') IS NOT NULL THEN
        PERFORM tpro.must_be_name(service);
    END IF;
    IF to_regnamespace(quote_ident(service || '_service')) IS NOT NULL
       AND NOT EXISTS (SELECT FROM tpro.service_schemas s WHERE s.name = service) THEN
        RAISE duplicate_schema USING
            MESSAGE = format('schema %s_service is there already and was not made by tpro', service),
            HINT = 'Choose another name for the service, or rename that schema.';
    END IF;
    SELECT r.oid, shobj_description(r.oid, 'pg_authid') = 'tpro: login of service ' || service AS marked,
           -- Release 0.1.0 made logins without a mark, and none with more rights than these.
           NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)
           AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                        WHERE m.member = r.oid AND g.rolname = service || '_sidecar'
                          AND shobj_description(g.oid, 'pg_authid') LIKE 'tpro: %') AS sidecar
      INTO login FROM pg_roles r WHERE r.rolname = service;
    IF login.oid IS NULL THEN
        EXECUTE format('CREATE ROLE %I LOGIN', service);
    ELSIF login.marked IS NOT TRUE AND login.sidecar IS NOT TRUE THEN
        RAISE duplicate_object USING
            MESSAGE = format('role %s is there already and was not made by tpro', service),
            DETAIL = 'Nothing of it has been changed.',
            HINT = format('Choose another name for the service, or rename that role. A login of another name serves as well: '
                          'SELECT tpro.create_service(%L), then GRANT %I, %I TO it.',
                          service, service || '_sidecar', service || '_publisher');
    END IF;
    EXECUTE format('COMMENT ON ROLE %I IS %L', service, 'tpro: login of service ' || service);
    -- A role belongs to the cluster. Where another database has this service too, its copies log in by the same password.
    SELECT string_agg(d.datname, ', ' ORDER BY d.datname) INTO others
      FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
     WHERE s.setrole = login.oid AND d.datname <> current_database()
       AND format('tpro.sender=%s', service) = ANY (s.setconfig);
    PERFORM set_config('login.others', coalesce(others, ''), true);
    IF to_regnamespace(quote_ident(service || '_service')) IS NULL THEN
        PERFORM tpro.create_service(service);
    END IF;
    -- What the sidecar does, and what a person does who publishes on the service's behalf.
    EXECUTE format('GRANT %I, %I TO %I', service || '_sidecar', service || '_publisher', service);
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET tpro.sender = %L', service, current_database(), service);
END
$$;
SELECT current_setting('login.others') AS others, current_setting('login.others') = '' AS alone \gset
\if :{?password}
\if :alone
-- The default from PostgreSQL 14 on. Clients that log in by md5 take it as well.
SET LOCAL password_encryption = 'scram-sha-256';
ALTER ROLE :"name" LOGIN PASSWORD :'password';
\else
\warn WARNING: role :name is also the login of this service in :others and keeps its password: use that one here too.
\warn To change it for all of them: ALTER ROLE :"name" PASSWORD ...
\endif
\endif
COMMIT;
