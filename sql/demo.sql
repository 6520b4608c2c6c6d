-- The data of the demo: people who can log in through analytic.example.simple. Run as a superuser, after
-- tpro.create_service('analytic'). May be run again; a function app.login(text, text, text) that is there already is
-- kept, and then nothing else is made.
--
-- The hashes are salted SHA-256, many times over, since that needs no extension. Software for people's real passwords
-- takes crypt() of pgcrypto, or better keeps them out of the database.
DO $demo$
BEGIN
    IF pg_catalog.to_regprocedure('app.login(text, text, text)') IS NOT NULL THEN
        RETURN;
    END IF;

    IF pg_catalog.to_regnamespace('app') IS NULL THEN
        CREATE SCHEMA app;
        COMMENT ON SCHEMA app IS 'demo: what a user''s own application has';
    END IF;

    CREATE TABLE app.person (
        face_id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        login pg_catalog.text NOT NULL UNIQUE,
        ip pg_catalog.inet NOT NULL,
        salt pg_catalog.bytea NOT NULL,
        hash pg_catalog.bytea NOT NULL
    );
    COMMENT ON TABLE app.person IS 'demo: who can log in, and from where';

    CREATE FUNCTION app.password_hash(password pg_catalog.text, salt pg_catalog.bytea) RETURNS pg_catalog.bytea
        LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        hash bytea := salt || convert_to(password, 'UTF8');
    BEGIN
        FOR round IN 1 .. 2000 LOOP
            hash := sha256(salt || hash);
        END LOOP;
        RETURN hash;
    END
    $$;
    COMMENT ON FUNCTION app.password_hash(pg_catalog.text, pg_catalog.bytea) IS 'demo: the hash that app.person keeps';

    -- SECURITY DEFINER: whoever may log people in need not see their hashes.
    CREATE FUNCTION app.login(ip pg_catalog.text, login pg_catalog.text, password pg_catalog.text)
        RETURNS TABLE (sid pg_catalog.text, face_id pg_catalog.int8)
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        person app.person;
    BEGIN
        -- Which field is wrong, and never what it was.
        SELECT p.* INTO person FROM app.person p WHERE p.login = login.login;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'the login is unknown';
        END IF;
        IF host(person.ip) IS DISTINCT FROM login.ip THEN
            RAISE EXCEPTION USING ERRCODE = 'LG001', MESSAGE = 'the ip is not one this person logs in from';
        END IF;
        IF app.password_hash(login.password, person.salt) IS DISTINCT FROM person.hash THEN
            RAISE EXCEPTION USING ERRCODE = 'LG003', MESSAGE = 'the password is wrong';
        END IF;
        RETURN QUERY SELECT replace(gen_random_uuid()::text, '-', ''), person.face_id;
    END
    $$;
    COMMENT ON FUNCTION app.login(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
        'demo: logs in; LG001 wrong ip, LG002 unknown login, LG003 wrong password';

    REVOKE ALL ON FUNCTION app.login(pg_catalog.text, pg_catalog.text, pg_catalog.text) FROM PUBLIC;
    REVOKE ALL ON FUNCTION app.password_hash(pg_catalog.text, pg_catalog.bytea) FROM PUBLIC;

    INSERT INTO app.person (login, ip, salt, hash)
    SELECT p.login, p.ip, s.salt, app.password_hash(p.password, s.salt)
      FROM (VALUES ('login342', '172.19.0.8'::pg_catalog.inet, 'phnd26w'),
                   ('login3422', '172.19.0.8'::pg_catalog.inet, 'phnd26w')) AS p(login, ip, password),
           -- Named with a column of p, so that each person gets a salt of their own.
           LATERAL (SELECT pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) AS salt
                     WHERE p.login IS NOT NULL) AS s;
END
$demo$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) 'analytic_sidecar') THEN
        GRANT USAGE ON SCHEMA app TO analytic_sidecar;
        GRANT EXECUTE ON FUNCTION app.login(pg_catalog.text, pg_catalog.text, pg_catalog.text) TO analytic_sidecar;
    END IF;
END
$$;
