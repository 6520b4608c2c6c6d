-- A service in this database: schema, and the login role of its sidecar. Run by `make create-sql-NAME`, or by hand as a superuser:
--   LOGIN_PASSWORD=... psql -v name=billing -f sql/login.sql
-- May be run again. It touches nothing but the service's own schema and roles. For psql 15 or newer.
\set ON_ERROR_STOP on
-- The password comes by the environment: everybody can read a command line.
\getenv password LOGIN_PASSWORD

BEGIN;
SELECT tpro.create_service(:'name') WHERE to_regnamespace(quote_ident(:'name' || '_service')) IS NULL;

SELECT format('CREATE ROLE %I LOGIN', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
\if :{?password}
ALTER ROLE :"name" LOGIN PASSWORD :'password';
\endif

-- What the sidecar does, and what a person does who publishes on the service's behalf.
SELECT format('GRANT %I, %I TO %I', :'name' || '_sidecar', :'name' || '_publisher', :'name') \gexec
SELECT format('ALTER ROLE %I IN DATABASE %I SET tpro.sender = %L', :'name', current_database(), :'name') \gexec
COMMIT;
